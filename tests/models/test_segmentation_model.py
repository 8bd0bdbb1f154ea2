"""An architecture says its arguments once: in its constructor."""

from __future__ import annotations

import keras
import pytest
from family import SMALL

from keras_unet import models
from keras_unet.models import SegmentationModel, UNet, VNet

pytestmark = pytest.mark.core


def test_what_the_constructor_was_called_with_is_the_config():
    model = UNet([None, None, 3], 4, filters=2, depth=1, activation=keras.activations.gelu)
    config = model.get_config()
    given = {"input_shape": (None, None, 3), "num_classes": 4, "filters": 2, "activation": "gelu"}
    assert {name: config[name] for name in given} == given
    defaults = {"padding": "valid", "variant": "paper", "dropout": 0.5, "convs_per_level": 2}
    assert {name: config[name] for name in defaults} == defaults
    assert list(config) == list(models.arguments("unet"))
    assert (config["name"], config["trainable"]) == ("unet", True)
    again = UNet.from_config(config)
    assert again.get_config() == config
    assert again.count_params() == model.count_params()


def test_a_margin_is_stored_as_settled():
    config = VNet((None, 1), filters=1, depth=1, margin=None).get_config()
    assert config["margin"] == VNet.from_config(config).geometry.margin > 0


def test_a_subclass_is_saved_by_its_own_arguments():
    class Wide(UNet):
        def __init__(self, input_shape=(None, 1), width=2, **kwargs):
            super().__init__(input_shape, filters=2 * width, depth=1, **kwargs)

    config = Wide(width=3, name="wide").get_config()
    assert (config["width"], config["input_shape"]) == (3, (None, 1))
    assert config["name"] == "wide"
    assert "filters" not in config


def test_without_a_constructor_of_its_own_a_subclass_is_its_parent():
    class Same(UNet):
        pass

    assert Same(filters=3, depth=0).get_config()["filters"] == 3


def test_unknown_arguments_are_no_secret():
    with pytest.raises(TypeError, match="filterz"):
        UNet(filterz=3)


@pytest.mark.parametrize("name", SMALL)
def test_arguments_are_checked_without_building(name, monkeypatch):
    def build(*arguments, **options):
        raise AssertionError("a layer was made")

    monkeypatch.setattr(keras.layers.Layer, "__call__", build)
    monkeypatch.setattr(keras, "Input", build)
    cls: type[SegmentationModel] = models.get(name)
    cls.check_arguments(**SMALL[name])
    with pytest.raises(ValueError, match="filters must be a positive integer"):
        cls.check_arguments(filters=0)
    with pytest.raises(ValueError, match="group"):
        cls.check_arguments(normalization="layer")


def test_a_network_can_be_built_after_a_check_that_failed():
    with pytest.raises(ValueError, match="kernel_size must be odd"):
        UNet.check_arguments(kernel_size=4)
    with pytest.raises(ValueError, match="nosuch"):
        UNet.check_arguments(activation="nosuch")
    assert UNet(filters=1, depth=0).count_params() > 0


def test_one_output_trains_as_it_is():
    model, loss = UNet(filters=1, depth=0), keras.losses.MeanSquaredError()
    assert model.heads == ()
    assert model.training_model() is model
    assert model.training_loss(loss) is loss
    assert model.training_metrics([loss]) == [loss]
