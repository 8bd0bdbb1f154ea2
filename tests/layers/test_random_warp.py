"""One field for every key, ids kept, on all backends."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from keras_unet.augmentation import field as warp
from keras_unet.layers import RandomWarp

pytestmark = [pytest.mark.core, pytest.mark.backend]

STILL = {"sigma": 0.0, "rotation": 0.0, "flip": False}


def numpy(x):
    return ops.convert_to_numpy(x)


def ramps(batch, shape):
    """Images that hold each pixel's position, and masks with an id for every pixel."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    ids = np.arange(np.prod(shape), dtype="int32").reshape(shape)
    return np.stack([grid.astype("float32")] * batch), np.stack([ids] * batch)


@pytest.mark.parametrize("shape", [(20, 27), (6, 9, 8), (1, 5)])
def test_images_and_masks_share_one_field(shape):
    images, ids = ramps(2, shape)
    layer = RandomWarp(rot90=True, scale=1.3, shift=2.0, seed=1)
    out = layer({"images": images, "segmentation_masks": ids}, training=True)
    warped, masks = numpy(out["images"]), numpy(out["segmentation_masks"])
    nearest = np.stack(np.unravel_index(masks, shape), axis=-1)
    assert abs(warped - nearest).max() <= 0.5 + 1e-4
    assert (masks[0] != masks[1]).any()  # but every image has its own
    assert (masks[0] != ids[0]).any()


def test_ids_and_dtypes_survive_mixed_precision():
    ids = np.random.default_rng(0).choice([0, 257, 70_001], (2, 24, 31, 1)).astype("int32")
    images = np.full((2, 24, 31, 1), 200, "uint8")
    layer = RandomWarp(dtype="mixed_float16", seed=0)
    out = layer({"images": images, "segmentation_masks": ids, "labels": np.ones(2)}, training=True)
    assert keras.backend.standardize_dtype(out["segmentation_masks"].dtype) == "int32"
    assert set(np.unique(numpy(out["segmentation_masks"]))) <= {0, 257, 70_001}
    assert keras.backend.standardize_dtype(out["images"].dtype) == "uint8"
    np.testing.assert_array_equal(numpy(out["images"]), images)
    np.testing.assert_array_equal(numpy(out["labels"]), [1, 1])


def test_nothing_to_do_changes_no_pixel():
    images = np.random.default_rng(0).random((2, 9, 12, 3)).astype("float32")
    np.testing.assert_array_equal(numpy(RandomWarp(**STILL)(images, training=True)), images)


def test_flips_are_exact_and_all_occur():
    image = np.arange(30, dtype="float32").reshape(1, 5, 6, 1)
    layer = RandomWarp(**{**STILL, "flip": True}, seed=0)
    out = numpy(layer(np.repeat(image, 40, axis=0), training=True))
    turned = [image[:, ::y, ::x].tobytes() for y in (1, -1) for x in (1, -1)]
    assert {one.tobytes() for one in out} == set(turned)


def test_shift_by_hand_mirrors_at_the_border():
    image = np.arange(4, dtype="float32").reshape(1, 1, 4, 1)
    out = RandomWarp(**STILL, shift=(1.5, 1.5))(image, training=True)
    np.testing.assert_allclose(numpy(out).ravel(), [1.5, 2.5, 2.5, 1.5])


@pytest.mark.parametrize("interpolation", ["bicubic", "bspline"])
def test_strength(interpolation):
    size, inner = 61, slice(15, -15)
    images, _ = ramps(80, (size, size))
    layer = RandomWarp(**{**STILL, "sigma": 2.0}, interpolation=interpolation, seed=0)
    moved = numpy(layer(images, training=True)) - images
    variance = (warp.basis(np.linspace(0, 2, size), 3, interpolation)[:, inner] ** 2).sum(axis=0)
    expected = 2 * variance.mean()  # the square of an axis' deviation, for two axes
    assert moved[:, inner, inner].std() == pytest.approx(expected, rel=0.15)


def test_seeds_repeat_and_calls_differ():
    images, _ = ramps(1, (16, 20))
    one, other = RandomWarp(seed=3), RandomWarp(seed=3)
    first = numpy(one(images, training=True))
    np.testing.assert_array_equal(numpy(other(images, training=True)), first)
    assert (numpy(one(images, training=True)) != first).any()


def test_inference_is_the_identity():
    images, ids = ramps(1, (8, 9))
    layer = RandomWarp()
    np.testing.assert_array_equal(numpy(layer(images)), images)
    out = layer({"images": images, "segmentation_masks": ids}, training=False)
    np.testing.assert_array_equal(numpy(out["segmentation_masks"]), ids)


def test_in_a_model_that_is_trained_and_saved(tmp_path):
    inputs = keras.Input((16, 12, 1))
    outputs = keras.layers.Conv2D(1, 1)(RandomWarp(sigma=2, grid=(3, 4), seed=1)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(loss="mse")
    images = np.random.default_rng(0).random((4, 16, 12, 1)).astype("float32")
    model.fit(images, images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
    assert loaded.layers[1].get_config() == model.layers[1].get_config()


def test_sizes_that_are_known_only_at_run_time():
    inputs = keras.Input((None, None, 1))
    outputs = RandomWarp(seed=0)(inputs)
    assert outputs.shape == (None, None, None, 1)
    images = np.random.default_rng(0).random((2, 13, 18, 1)).astype("float32")
    out = numpy(keras.Model(inputs, outputs)(images, training=True))
    np.testing.assert_allclose(out, numpy(RandomWarp(seed=0)(images, training=True)), atol=1e-4)


def test_config_round_trip():
    layer = RandomWarp(grid=(2, 3), rotation=(0, 5), scale=1.2, seed=4, name="warp")
    again = RandomWarp.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


ILL_CALLS = [
    (np.zeros((2, 5, 1)), "two or three spatial axes"),
    ({"labels": np.zeros((2,))}, "needs .images."),
    (
        {"images": np.zeros((1, 5, 6, 1)), "segmentation_masks": np.zeros((1, 6, 5))},
        "same spatial shape",
    ),
]


@pytest.mark.parametrize(("data", "message"), ILL_CALLS)
def test_ill_calls(data, message):
    with pytest.raises(ValueError, match=message):
        RandomWarp()(data, training=True)


@pytest.mark.parametrize("arguments", [{"grid": 1}, {"scale": 0.5}, {"interpolation": "x"}])
def test_ill_arguments(arguments):
    with pytest.raises(ValueError, match="Received: "):
        RandomWarp(**arguments)
