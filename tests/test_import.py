"""What an import costs: nothing printed, nothing heavy, no TensorFlow where it is not wanted."""

import importlib.util
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.core


def run(code: str, **environment: str) -> str:
    """What a fresh Python prints (both streams); fails with its errors."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


NUMPY_ONLY = """
import sys
import keras_unet
import keras_unet.layers, keras_unet.losses, keras_unet.metrics, keras_unet.models
import keras_unet.data, keras_unet.inference, keras_unet.targets, keras_unet.training
assert not {"numpy", "scipy", "numba", "cv2"} & set(sys.modules), "a package imports eagerly"
assert "UNet" in dir(keras_unet.models) and "models" in dir(keras_unet)
assert keras_unet.models.list_models()
from keras_unet import Sample, Segmentation, UNetGeometry, objects, plan_tiles
from keras_unet.augmentation import field, ranges
from keras_unet.data import Normalization, read_image, write_labels
from keras_unet.metrics import instances, isbi
from keras_unet.targets import weights
assert [getattr(objects, name) for name in objects.__all__]
heavy = {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
assert not heavy, heavy
"""


def test_numpy_parts_import_neither_keras_nor_a_backend_and_print_nothing():
    assert run(NUMPY_ONLY) == ""


WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        absent = name.split(".")[0] == "tensorflow"
        return None if absent else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [f for f in sys.meta_path if f is not PathFinder] + [NoTensorFlow()]
import keras
import numpy as np
import keras_unet as ku
model = ku.models.UNet(filters=2, depth=1, padding="same")
x, y = np.zeros((1, 5, 6, 1)), np.ones((1, 5, 6), "int32")
loss = ku.losses.WeightedCrossentropy()
model.compile("sgd", loss, metrics=[ku.metrics.MeanIoU(2)])
value = loss(y, model(x))
assert np.isfinite(keras.ops.convert_to_numpy(value))
assert not [name for name in sys.modules if name.split(".")[0] == "tensorflow"]
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_model_loss_and_metric_work_where_tensorflow_is_absent(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    assert run(WITHOUT_TENSORFLOW, KERAS_BACKEND=backend) == ""


REGISTERED = """
import sys
{imports}
known = keras.saving.get_custom_objects()
assert "keras_unet.models.unet" not in sys.modules, "imported although nothing asked for it"
for package in ("layers", "losses", "metrics", "models", "training"):
    for name in getattr(keras_unet, package).__all__:
        if name[0].isupper():
            assert f"keras_unet>{{name}}" in known, name
saved = {{
    "module": "keras_unet.layers.center_crop",
    "class_name": "CenterCrop",
    "registered_name": "keras_unet>CenterCrop",
    "config": {{"size": 3}},
}}
assert keras.saving.deserialize_keras_object(saved).size == 3
assert known["keras_unet>CenterCrop"] is keras_unet.layers.CenterCrop
"""

UNANNOUNCED = """
before = set(known)
for package in ("layers", "losses", "metrics", "models", "training"):
    for name in getattr(keras_unet, package).__all__:
        getattr(getattr(keras_unet, package), name)
assert set(known) == before, set(known) - before
"""


def test_keras_finds_every_class_when_it_is_imported_first():
    run(REGISTERED.format(imports="import keras, keras_unet"))


def test_keras_finds_every_class_when_it_is_imported_later_and_no_other_ones_appear():
    run(REGISTERED.format(imports="import keras_unet, keras") + UNANNOUNCED)


def test_public_names_exist_and_unknown_ones_do_not():
    import keras_unet

    for name in keras_unet.__all__:
        assert hasattr(keras_unet, name), name
    with pytest.raises(AttributeError, match="has no attribute 'unet'"):
        keras_unet.unet  # noqa: B018
