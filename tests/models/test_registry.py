import pytest
from family import SMALL

from keras_unet import models
from keras_unet.models.registry import name_of

pytestmark = pytest.mark.core


def test_every_name_makes_its_model():
    assert list(models.list_models()) == sorted(SMALL)
    for name in models.list_models():
        model = models.create(name, **SMALL[name])
        assert isinstance(model, models.SegmentationModel)
        assert name_of(model) == name
        taken = models.arguments(name)
        assert taken[:2] == ("input_shape", "num_classes")
        assert {"filters", "dtype", "name", "trainable"} <= set(taken)
        assert set(taken) == set(model.get_config())


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match=r"there are .*'unet'.*'vnet'.*Received: name='nnet'"):
        models.create("nnet")
    with pytest.raises(ValueError, match="Received: name='nnet'"):
        models.arguments("nnet")
    with pytest.raises(
        ValueError, match=r"no such model \(did you mean 'unet'\?\); there are 'att"
    ):
        models.get("unett")


def test_a_class_stands_for_itself():
    assert models.get("unet") is models.UNet
    assert models.get(models.UNet) is models.UNet
