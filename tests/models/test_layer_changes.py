"""What is changed in a model's layers by hand comes back with the model, or is refused."""

import json
import warnings

import keras
import numpy as np
import pytest
from family import SMALL

from keras_unet import models
from keras_unet.inference.presets import load_preset, save_preset
from keras_unet.losses import WeightedCrossentropy
from keras_unet.models import UNet
from keras_unet.models.layer_changes import as_built, changes_since, restore

pytestmark = pytest.mark.core

OPTIONS = {"filters": 2, "depth": 1, "padding": "same", "normalization": "batch", "dropout": 0.3}


def again(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return keras.models.load_model(tmp_path / "model.keras")


def frozen(model):
    return [layer.name for layer in model.layers if not layer.trainable]


@pytest.mark.parametrize("name", SMALL)
def test_frozen_layers_of_every_architecture(name):
    model = models.create(name, **SMALL[name])
    for layer in model.layers[::2]:
        layer.trainable = False
    config = json.loads(json.dumps(model.get_config()))
    loaded = type(model).from_config(config)
    assert frozen(loaded) == frozen(model)
    shapes = [tuple(weight.shape) for weight in loaded.trainable_variables]
    assert shapes == [tuple(weight.shape) for weight in model.trainable_variables]


@pytest.mark.parametrize("which", ["contract", "_norm"])
def test_training_goes_on_with_the_optimizers_state(which, tmp_path):
    model = UNet((None, None, 1), **OPTIONS)
    for layer in model.layers:
        layer.trainable = which not in layer.name
    model.compile(keras.optimizers.Adam(1e-2), WeightedCrossentropy())
    x = np.random.default_rng(0).random((2, 8, 10, 1), dtype="float32")
    y = (x[..., 0] > 0.5).astype("int32")
    model.train_on_batch(x, y)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        loaded = again(model, tmp_path)
    assert not [str(w.message) for w in seen if "optimizer" in str(w.message)]
    states = [[np.asarray(v.value) for v in m.optimizer.variables] for m in (model, loaded)]
    assert len(states[0]) == len(states[1])
    for before, after in zip(*states, strict=True):
        np.testing.assert_array_equal(before, after)
    kept = [keras.ops.convert_to_numpy(w) for w in loaded.non_trainable_weights]
    loaded.train_on_batch(x, y)
    for before, after in zip(kept, loaded.non_trainable_weights, strict=True):
        moves = "moving" in after.path and which != "_norm" and "contract" not in after.path
        assert moves or np.array_equal(before, after)


def test_a_frozen_model_with_a_layer_that_trains(tmp_path):
    model = UNet((None, None, 1), trainable=False, **OPTIONS)
    model.trainable = True
    model.get_layer("logits").trainable = False
    loaded = again(model, tmp_path)
    assert frozen(loaded) == ["logits"]
    loaded.trainable = False
    loaded.get_layer("logits").trainable = True
    assert "logits" not in frozen(again(loaded, tmp_path))


def test_settings_changed_by_hand(tmp_path):
    model = UNet((None, None, 1), **OPTIONS)
    model.get_layer("contract1_conv1_act").activation = keras.activations.tanh
    model.get_layer("contract2_conv1_norm").epsilon = 0.5
    model.get_layer("contract2_conv2").activation = keras.activations.gelu
    (dropout,) = (layer for layer in model.layers if layer.name == "contract2_dropout")
    dropout.rate = 0.75
    loaded = again(model, tmp_path)
    assert loaded.get_layer("contract2_dropout").rate == 0.75
    x = np.random.default_rng(0).random((1, 6, 7, 1), dtype="float32")
    found, wanted = (keras.ops.convert_to_numpy(m(x)) for m in (loaded, model))
    np.testing.assert_array_equal(found, wanted)
    unchanged = UNet((None, None, 1), **OPTIONS)
    unchanged.set_weights(model.get_weights())
    assert not np.allclose(keras.ops.convert_to_numpy(unchanged(x)), wanted)
    assert again(loaded, tmp_path).get_config() == loaded.get_config()


def replaced_call(model):
    layer = model.get_layer("logits")
    layer.call = lambda x: x
    return "logits", "call"


def half(x):
    return x / 2


def unregistered_function(model):
    model.get_layer("contract1_conv1_act").activation = half
    return "contract1_conv1_act", "activation"


def another_kernel(model):
    layer = model.get_layer("logits")
    layer._untrack_variable(layer.bias)
    return "logits", "weights"


def another_rank(model):
    model.get_layer("contract1_conv1").rank = 1
    return "contract1_conv1", "rank"


@pytest.mark.parametrize(
    "change",
    [replaced_call, unregistered_function, another_kernel, another_rank],
    ids=lambda f: f.__name__,
)
def test_what_cannot_be_stored_is_refused(change, tmp_path):
    model = UNet((None, None, 1), **OPTIONS)
    layer, attribute = change(model)
    message = rf"{layer}.*save keras.Model\(model.input, model.output\) instead.*{attribute}"
    with pytest.raises(ValueError, match=message):
        model.save(tmp_path / "model.keras")


def test_layers_of_layers():
    def build():
        inner = keras.Sequential([keras.layers.Dense(2, name="a"), keras.layers.Dense(2, name="b")])
        outer = keras.Sequential([keras.Input((3,)), inner])
        return outer, inner

    model, inner = build()
    built = as_built(model)
    inner.trainable = False
    inner.get_layer("b").trainable = True
    changes = changes_since(model, built)
    assert changes == {inner.name: {"trainable": False}, f"{inner.name}/b": {"trainable": True}}
    twin, other = build()
    restore(twin, {path.replace(inner.name, other.name): c for path, c in changes.items()})
    assert [layer.trainable for layer in (other, *other.layers)] == [False, False, True]


def test_changes_of_another_model_are_refused():
    with pytest.raises(ValueError, match=r"does not have.*nosuch"):
        restore(UNet(filters=1, depth=0), {"nosuch": {"trainable": False}})


def test_presets(tmp_path):
    model = UNet((None, None, 1), **OPTIONS)
    model.get_layer("logits").trainable = False
    save_preset(tmp_path, model, {}, {})
    assert frozen(load_preset(tmp_path)[0]) == ["logits"]


def test_a_float32_twin_of_a_model_that_was_changed():
    from keras_unet.export.float32 import float32_model

    model = UNet((None, None, 1), dtype="mixed_bfloat16", **OPTIONS)
    model.get_layer("contract1_conv1_act").activation = keras.activations.tanh
    twin = float32_model(model)
    assert twin.get_layer("contract1_conv1_act").activation is keras.activations.tanh
    assert twin.compute_dtype == "float32"
