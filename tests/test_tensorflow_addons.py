"""Our warps, bilinear sampling and distances against those of tensorflow-addons.

The golden arrays were computed by `oracles/addons.py`, which needs an environment of its
own: no release of tensorflow-addons imports with Keras 3. The slow test builds that environment
(Python 3.9 to 3.11), computes the arrays anew, and loads a SavedModel of ours there. To write them:

    KERAS_UNET_WRITE_GOLDEN=1 python -m pytest -m slow tests/test_tensorflow_addons.py
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.augmentation import field as warp
from keras_unet.layers.random_warp import _linear
from keras_unet.objects import two_nearest_distances

TESTS = Path(__file__).resolve().parent
GOLDEN = TESTS / "golden" / "tensorflow_addons.npz"
SCRIPT = TESTS / "oracles" / "addons.py"
REQUIREMENTS = (
    "tensorflow==2.15.1",
    "tensorflow-addons==0.23.0",
    "numpy==1.26.4",
    "typeguard==2.13.3",
)
SHAPE = (33, 46)
DEGREES, SCALE = 25.0, 1.5


def inputs() -> dict[str, np.ndarray]:
    """What both sides compute with: an image, places in it, and a mask."""
    random = np.random.default_rng(0)
    middle = [(size - 1) / 2 for size in SHAPE]
    lines = [np.arange(size) - half for size, half in zip(SHAPE, middle, strict=True)]
    angle = np.deg2rad(DEGREES)
    turn = warp.matrix(2, np.cos(angle), np.sin(angle), 0.0, (1.0, 1.0), SCALE)
    affine = warp.coordinates(turn, lines, middle)
    knots = random.normal(scale=3, size=(2, 3, 3))
    bases = [
        warp.basis(warp.knot_units(line, size, 3), 3, "bicubic")
        for line, size in zip(lines, SHAPE, strict=True)
    ]
    field = warp.displacement(knots, bases)
    still = warp.matrix(2, 1.0, 0.0, 0.0, (1.0, 1.0), 1.0)
    elastic = warp.coordinates(
        still, lines, [d + half for d, half in zip(field, middle, strict=True)]
    )
    image = random.random((1, *SHAPE, 2), np.float32)
    points = random.random((1, 80, 2), np.float32) * np.float32([s - 1 for s in SHAPE])
    mask = random.random((1, *SHAPE, 1)) > 0.03
    return {
        "image": image,
        "points": points,
        "mask": (255 * mask).astype(np.uint8),
        "affine": np.stack(affine, axis=-1)[None].astype(np.float32),
        "elastic": np.stack(elastic, axis=-1)[None].astype(np.float32),
    }


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def inside(positions):
    """Where a place has four pixels around it: beyond, both continue images in their own way."""
    return np.all((positions >= 0) & (positions <= np.array(SHAPE) - 1), axis=-1)[0]


@pytest.mark.core
@pytest.mark.backend
def test_bilinear_sampling(golden):
    places = [keras.ops.convert_to_tensor(golden["points"][..., axis]) for axis in range(2)]
    found = keras.ops.convert_to_numpy(
        _linear(keras.ops.convert_to_tensor(golden["image"]), places, SHAPE)
    )
    np.testing.assert_allclose(found[0], golden["bilinear"], atol=1e-5)


@pytest.mark.core
@pytest.mark.backend
@pytest.mark.parametrize("name", ["affine", "elastic"])
def test_dense_warp(name, golden):
    positions = golden[name]
    places = [keras.ops.convert_to_tensor(positions[..., axis]) for axis in range(2)]
    found = keras.ops.convert_to_numpy(
        _linear(keras.ops.convert_to_tensor(golden["image"]), places, SHAPE)
    )
    known = inside(positions)
    assert known.mean() > 0.8
    np.testing.assert_allclose(found[0][known], golden[f"{name}_warp"][0][known], atol=1e-4)


@pytest.mark.core
def test_augmentation(golden):
    """The whole fused warp of the tf.data pipeline, with nothing left to chance."""
    none = ku.data.Augmentation.none().get_config()
    turn = {"rotation": (DEGREES, DEGREES), "scale": (SCALE, SCALE)}
    augment = ku.data.Augmentation.from_config({**none, **turn})
    image, _ = augment(golden["image"][0], np.zeros(SHAPE, np.int32), seed=[0, 0])
    known = inside(golden["affine"])
    assert known.mean() > 0.8
    np.testing.assert_allclose(image.numpy()[known], golden["affine_warp"][0][known], atol=1e-4)


@pytest.mark.core
def test_distance_transform(golden):
    background = (golden["mask"][0, ..., 0] == 0).astype(np.int32)
    found, _ = two_nearest_distances(background)
    np.testing.assert_allclose(found, golden["distance"][0, ..., 0], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="TensorFlow 2.15 needs Python 3.9 to 3.11")
def test_arrays_are_those_of_tensorflow_addons(tmp_path):
    python = environment(tmp_path / "tfa")
    model = ku.models.UNet(input_shape=(None, None, 1), filters=4, depth=2, padding="same")
    segmenter = ku.Segmenter(model, normalization=ku.data.Normalization("none"))
    version = ku.export.saved_model(segmenter, tmp_path / "models" / "cells")
    images = np.random.default_rng(1).random((1, 37, 50, 1), np.float32)
    given, found = tmp_path / "inputs.npz", tmp_path / "outputs.npz"
    np.savez(given, images=images, **inputs())
    subprocess.run([python, SCRIPT, given, found, version], check=True)
    with np.load(found) as arrays:
        outputs = dict(arrays)
    probabilities = outputs.pop("probabilities")[0]
    np.testing.assert_allclose(probabilities, segmenter.predict(images[0]).probabilities, atol=1e-6)
    if os.environ.get("KERAS_UNET_WRITE_GOLDEN"):
        np.savez_compressed(GOLDEN, **inputs(), **outputs)
    with np.load(GOLDEN) as arrays:
        assert set(arrays) == {*inputs(), *outputs}
        for name, value in {**inputs(), **outputs}.items():
            np.testing.assert_allclose(arrays[name], value, atol=1e-5, err_msg=name)


def environment(folder: Path) -> str:
    """The Python of an environment with tensorflow-addons; `KERAS_UNET_TFA_PYTHON` names one."""
    if given := os.environ.get("KERAS_UNET_TFA_PYTHON"):
        return given
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = shutil.which("python", path=folder / "bin")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    return python
