"""Tiles of real networks, and turned views, give what one pass over the image gives."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_networks import PLAIN, RAW, compare_model, rng_image, sigmoid, tiny_unet

from keras_unet import Segmenter, UNetGeometry

pytestmark = [pytest.mark.core, pytest.mark.backend]

# === Tiles of real networks ===


@pytest.mark.parametrize("shape", [(61, 83), (33, 140)])
def test_valid_network_equals_the_whole_image(shape):
    image, model = rng_image(*shape), tiny_unet()
    whole = Segmenter(model, PLAIN, RAW).predict(image).probabilities
    assert len(Segmenter(model, max_tile=76).plan(shape)) > 1
    for max_tile in (76, (60, 92)):
        tiled = Segmenter(model, PLAIN, RAW, max_tile=max_tile).predict(image).probabilities
        np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)
    assert np.ptp(whole[..., 1]) > 1e-3


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_last_tile_may_write_fewer_rows_than_a_stride(rank, rows):
    """What it writes depends on more mirrored pixels than it shows of the image."""
    model = tiny_unet(input_shape=(*[None] * rank, 1), depth=2, filters=2)
    smallest = model.geometry.smallest_tile
    step = Segmenter(model, max_tile=smallest).plan((10**4,) * rank).step[0]
    count = 1 + 2 * model.geometry.margin // step  # the last tile shows a part of the image only
    image = rng_image(*(step * tiles + rows for tiles in (count, 1, 1)[:rank]))
    whole = Segmenter(model, PLAIN, RAW).predict(image).probabilities
    tiled = Segmenter(model, PLAIN, RAW, max_tile=smallest).predict(image).probabilities
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5)
    assert np.ptp(whole[..., 1]) > 1e-3


def test_valid_network_is_exact_for_equal_tile_shapes():
    """An image and a part of it, moved on the pooling grid: the same pixels in other tiles."""
    model = tiny_unet(input_shape=(76, 92, 1))
    geometry = model.geometry
    large = rng_image(120, 110)
    top, left = 5 * geometry.stride, 3 * geometry.stride
    whole = Segmenter(model, PLAIN, RAW).predict(large).probabilities
    part = Segmenter(model, PLAIN, RAW).predict(large[top:, left:]).probabilities
    margin = geometry.margin  # near the cut the part is mirrored
    np.testing.assert_array_equal(part[margin:, margin:], whole[top + margin :, left + margin :])
    batched = Segmenter(model, PLAIN, RAW, batch_size=4).predict(large).probabilities
    np.testing.assert_allclose(batched, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("upsampling", ["transpose", "bilinear"])
def test_same_network_is_mirrored_by_its_receptive_field(upsampling):
    """Against the network itself on an image with far more context than it needs."""
    model = tiny_unet(padding="same", upsampling=upsampling)
    image = rng_image(49, 62)
    pad = 2 * model.geometry.margin
    padded = np.pad(image, pad, "reflect")
    logits = keras.ops.convert_to_numpy(model(padded[None, ..., None], training=False))[0]
    expected = PLAIN.activate(logits[pad : pad + 49, pad : pad + 62])
    for max_tile in (None, 4 * (2 * model.geometry.margin // 4) + 16):
        segmenter = Segmenter(model, PLAIN, RAW, max_tile=max_tile, margin="full")
        result = segmenter.predict(image)
        np.testing.assert_allclose(result.probabilities, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("margin", [0, 4, 8, "full"])
def test_tiles_give_what_one_pass_over_the_mirrored_image_gives(margin):
    """Against the network itself; where it pads, it pads as in one pass."""
    model = tiny_unet(padding="same")
    image = rng_image(93, 141)
    plan = Segmenter(model, PLAIN, RAW, margin=margin).plan(image.shape)
    assert len(plan) == 1
    pads = [(plan.margin, c - n - plan.margin) for c, n in zip(plan.canvas, (93, 141), strict=True)]
    canvas = np.pad(image, pads, "reflect")[None, ..., None]
    logits = keras.ops.convert_to_numpy(model(canvas, training=False))[0]
    expected = PLAIN.activate(logits[tuple(slice(a, -b or None) for a, b in pads)])
    for max_tile in (None, (96, 72), 52):
        segmenter = Segmenter(model, PLAIN, RAW, max_tile=max_tile, margin=margin)
        found = segmenter.predict(image).probabilities
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert len(segmenter.plan(image.shape)) > 20


def test_tiles_of_one_shape_agree_without_a_difference():
    """Many fixed tiles against a part of the image that one of them shows."""
    fixed = tiny_unet(padding="same", input_shape=(56, 64, 1))
    image = rng_image(110, 117)
    whole = Segmenter(fixed, PLAIN, RAW, margin=4).predict(image).probabilities
    corner = Segmenter(fixed, PLAIN, RAW, margin=4).predict(image[:52, :60]).probabilities
    seen = fixed.geometry.margin  # of the corner, what is not mirrored at its cut
    np.testing.assert_array_equal(whole[: 52 - seen, : 60 - seen], corner[:-seen, :-seen])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_volumes(padding):
    model = tiny_unet(input_shape=(None, None, None, 1), depth=1, filters=2, padding=padding)
    image = rng_image(5, 12, 9)
    whole = Segmenter(model, PLAIN, RAW).predict(image).probabilities
    tiled = Segmenter(model, PLAIN, RAW, max_tile=24).predict(image).probabilities
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5)


def test_memory_limit_decides_the_tiles():
    model = tiny_unet()
    one = Segmenter(model, memory_limit=2**30).plan((400, 300))
    many = Segmenter(model, memory_limit=2**21).plan((400, 300))
    assert len(one) == 1 < len(many)


# === Test-time augmentation ===


@pytest.mark.parametrize(("tta", "turn"), [("flips", np.fliplr), ("d4", np.rot90)])
def test_augmented_predictions_turn_with_the_image(tta, turn):
    segmenter = Segmenter(tiny_unet(), PLAIN, RAW, tta=tta, max_tile=76)
    image = rng_image(34, 47)
    expected = turn(segmenter.predict(image).probabilities)
    result = segmenter.predict(turn(image)).probabilities
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)
    plain = Segmenter(tiny_unet(), PLAIN, RAW).predict(image).probabilities
    assert np.abs(turn(plain) - expected).max() > 1e-4


def test_mean_of_rotations_of_a_network_that_does_not_mind():
    """Away from the border the known network gives nearly the smooth image itself."""
    y, x = np.mgrid[:40, :51]
    image = (np.sin(x / 8) * np.cos(y / 9)).astype(np.float32)
    result = Segmenter(compare_model(), PLAIN, RAW, tta="paper7").predict(image)
    expected = sigmoid(image)
    assert np.abs(result.probabilities[..., 1] - expected)[3:-3, 3:-3].max() < 0.01


@pytest.mark.parametrize(
    ("average", "middle"),
    [("scores", sigmoid(4)), ("probabilities", (sigmoid(0) + sigmoid(8)) / 2)],
)
def test_what_is_averaged(average, middle):
    """The logit is the pixel to the left, in the mirror image the one to the right."""
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    kernel = np.zeros((3, 3, 1, 2), np.float32)
    kernel[1, 0, 0, 1] = 1
    model.set_weights([kernel, np.zeros(2, np.float32)])
    geometry = UNetGeometry(depth=0, convs_per_level=1)
    options = {"geometry": geometry, "tta": "flips", "average": average}
    result = Segmenter(model, PLAIN, RAW, **options).predict(np.array([[0.0, 4.0, 8.0]]))
    expected = [sigmoid(4), middle, sigmoid(4)]  # mirroring: both neighbours of the rim are 4
    np.testing.assert_allclose(result.probabilities[0, :, 1], expected, atol=1e-6)
