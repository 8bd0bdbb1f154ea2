"""Image and labels move together, exactly as an oracle says, and the seed alone decides how."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage
from scipy.interpolate import BSpline, CubicSpline

from keras_unet.augmentation.fused_warp import FusedWarp, Source, xla_works
from keras_unet.data import Augmentation

pytestmark = pytest.mark.core

STILL = {"rotation": 0.0, "flip": False, "gamma": 1.0, "gain": 1.0, "offset": 0.0}
SEED = (3, 14)


def picture(shape=(40, 52), channels=1, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.random((*shape, channels), dtype=np.float32)
    return image, rng.integers(0, 90, shape).astype(np.int32)


def ramps(shape):
    """One channel a spatial axis that holds the pixel's position, and every pixel's own id."""
    positions = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return positions.astype(np.float32), np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


# === Geometry ===


@pytest.mark.parametrize("shape", [(9, 14), (1, 6), (4, 5, 6)])
def test_none_changes_no_pixel(shape):
    image, ids = picture(shape, channels=2)
    warped, warped_ids = Augmentation.none()(image, ids, SEED)
    np.testing.assert_array_equal(warped, image)
    np.testing.assert_array_equal(warped_ids, ids)


def oracle(augmentation, image, ids, tile, seed):
    """The same sampling by SciPy in float64, for constant affine changes (degrees, px)."""
    rank = len(tile)
    knots = FusedWarp(augmentation, tile, jit_compile=False).draw(seed, 1).knots.numpy()
    field = knots.astype(np.float64)
    for axis, size in enumerate(tile):
        at = np.linspace(0, 2, size)
        if augmentation.interpolation == "bicubic":
            basis = CubicSpline(np.arange(3), np.eye(3), bc_type="natural")(at)
        else:
            basis = BSpline(np.arange(-3, 6), np.eye(5), 3)(np.minimum(at, 2 - 1e-12))
        field = np.moveaxis(np.tensordot(field, basis, (axis + 1, 1)), -1, axis + 1)
    sigma = np.reshape(augmentation.sigma_for(tile), (-1, *(1 for _ in tile)))
    angle = np.deg2rad(augmentation.range_of("rotation")[0])
    affine = np.eye(rank)
    affine[-2:, -2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine /= augmentation.range_of("scale")[0]
    grid = np.stack(np.meshgrid(*map(np.arange, tile), indexing="ij")).astype(np.float64)
    centre = np.reshape((np.array(tile) - 1) / 2, (-1, *(1 for _ in tile)))
    corner = (np.array(image.shape[:-1]) - tile) // 2
    at = np.tensordot(affine, grid - centre, 1) + centre + sigma * field
    at += np.reshape(corner, centre.shape) + augmentation.range_of("shift")[0]
    warped = [
        ndimage.map_coordinates(image[..., c].astype(np.float64), at, order=1, mode="mirror")
        for c in range(image.shape[-1])
    ]
    return np.stack(warped, -1), ndimage.map_coordinates(ids, at, order=0, mode="mirror")


ORACLE_CASES = [
    ({}, (40, 52), (40, 52), 1),
    ({"interpolation": "bspline"}, (40, 52), (40, 52), 1),
    ({"rotation": (30, 30), "scale": (1.3, 1.3), "shift": (2.25, 2.25)}, (40, 53), (31, 24), 3),
    ({}, (12, 9), (48, 61), 1),  # a tile larger than the image is mirrored, more than once
    ({"rotation": (200, 200), "scale": (0.7, 0.7)}, (7, 20, 16), (9, 21, 14), 2),
    ({"sigma": (0, 8)}, (64, 1), (64, 3), 1),
]


@pytest.mark.parametrize(("options", "shape", "tile", "channels"), ORACLE_CASES)
def test_fused_warp_equals_scipy(options, shape, tile, channels):
    image, ids = picture(shape, channels)
    augmentation = Augmentation(**{**STILL, **options})
    warped, warped_ids = augmentation(image, ids, SEED, shape=tile)
    expected, expected_ids = oracle(augmentation, image, ids, tile, SEED)
    np.testing.assert_allclose(warped, expected, atol=3e-5)
    assert np.mean(warped_ids != expected_ids) < 2e-3  # ties of nearest


@pytest.mark.parametrize("shape", [(40, 53), (9, 20, 17)])
@pytest.mark.parametrize("resampling", ["linear", "cubic"])
def test_image_and_labels_stay_aligned(shape, resampling):
    positions, ids = ramps(shape)
    augmentation = Augmentation(
        rot90=True, scale=1.4, shift=5, gamma=1, gain=1, offset=0, resampling=resampling
    )
    for number in range(8):
        compiled = resampling == "linear"
        warped, warped_ids = augmentation(positions, ids, (0, number), jit_compile=compiled)
        nearest = np.stack(np.unravel_index(warped_ids, shape), axis=-1)
        # Cubic interpolation overshoots a little where the mirror turns a ramp around.
        reach = 0.5 + (1e-4 if resampling == "linear" else 0.15)
        assert abs(warped.numpy() - nearest).max() <= reach


def test_cubic_resampling_reproduces_parabolas():
    y, x = np.meshgrid(np.arange(30.0), np.arange(41.0), indexing="ij")
    parabola = ((y - 15) ** 2 + 0.5 * (x - 11) * (y - 3)) / 100
    shifted = ((y + 0.3 - 15) ** 2 + 0.5 * (x + 0.3 - 11) * (y + 0.3 - 3)) / 100
    augmentation = Augmentation(**STILL, sigma=0, shift=(0.3, 0.3), resampling="cubic")
    warped, _ = augmentation(parabola[..., None], np.zeros((30, 41), np.int32), SEED)
    np.testing.assert_allclose(warped[2:-3, 2:-3, 0], shifted[2:-3, 2:-3], atol=1e-5)


def test_flips_and_quarter_turns_are_exact_and_all_occur():
    image, ids = picture((6, 6))
    augmentation = Augmentation(**{**STILL, "flip": True, "sigma": 0, "rot90": True})
    turned = [np.rot90(i, k) for i in (ids, ids[:, ::-1]) for k in range(4)]
    seen = set()
    for number in range(60):
        warped, warped_ids = augmentation(image, ids, (1, number))
        matches = [k for k, expected in enumerate(turned) if np.array_equal(warped_ids, expected)]
        assert len(matches) == 1
        expected = np.rot90(image[:, ::-1] if matches[0] >= 4 else image, matches[0] % 4)
        np.testing.assert_array_equal(warped, expected)
        seen.update(matches)
    assert seen == set(range(8))


def test_flip_of_one_axis_only():
    _, ids = picture((5, 8))
    augmentation = Augmentation(**{**STILL, "sigma": 0, "flip": (False, True)})
    found = {
        augmentation(ids[..., None], ids, (0, number))[1].numpy().tobytes() for number in range(20)
    }
    assert found == {ids.tobytes(), ids[:, ::-1].tobytes()}


def test_scale_magnifies():
    ids = np.zeros((41, 41), np.int32)
    ids[18:23, 18:23] = 1
    augmentation = Augmentation(**STILL, sigma=0, scale=(3, 3))
    _, warped = augmentation(ids[..., None], ids, SEED)
    assert warped.numpy().sum() == 15 * 15


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "int64"])
def test_ids_and_dtype_survive(dtype):
    rng = np.random.default_rng(0)
    ids = rng.choice([0, 7, np.iinfo(dtype).max], (30, 44)).astype(dtype)
    raw = rng.integers(0, 2**16, (30, 44, 3)).astype(np.uint16)
    warped, warped_ids = Augmentation()(raw, ids, SEED, jit_compile=False)
    assert warped_ids.dtype == dtype
    assert warped.dtype == "float32"
    assert set(np.unique(warped_ids)) <= set(np.unique(ids))


def test_several_label_maps_share_the_field():
    image, ids = picture()
    _, pair = Augmentation()(image, np.stack([ids, 2 * ids], axis=-1), SEED, jit_compile=False)
    _, alone = Augmentation()(image, ids, SEED, jit_compile=False)
    np.testing.assert_array_equal(pair[..., 0], alone)
    np.testing.assert_array_equal(pair[..., 1], 2 * alone)


def test_label_window_of_another_size_shows_the_same_place():
    image, ids = picture((70, 64))
    source = FusedWarp(Augmentation(), (40, 52), jit_compile=False)
    wide = FusedWarp(Augmentation(), (40, 52), (60, 30), jit_compile=False)
    flat = (image.reshape(-1, 1), ids.reshape(-1, 1))
    where = Source(*map(tf.constant, (*flat, np.int32(0), np.int32([70, 64]), np.int32([9, 3]))))
    draw = source.draw(SEED, 1)
    same, labels = source(where, draw)
    image_again, window = wide(where, draw)
    np.testing.assert_array_equal(image_again, same)
    np.testing.assert_array_equal(window[10:50], labels[:, 11:41])


# === Randomness ===


def augmented(augmentation, count, **options):
    image, ids = picture()
    ds = tf.data.Dataset.from_tensors((image, ids)).repeat().enumerate().take(count)
    ds = ds.map(lambda i, pair: augmentation(*pair, seed=tf.stack([5, i])), **options)
    return [(image.numpy(), ids.numpy()) for image, ids in ds]


def test_parallel_equals_sequential_bit_for_bit_and_elements_differ():
    augmentation = Augmentation(noise=0.1, blur=1.0)
    one = augmented(augmentation, 12)
    four = augmented(augmentation, 12, num_parallel_calls=4, deterministic=True)
    for (image, ids), (image_again, ids_again) in zip(one, four, strict=True):
        np.testing.assert_array_equal(image, image_again)
        np.testing.assert_array_equal(ids, ids_again)
    assert len({ids.tobytes() for _, ids in one}) == 12


def test_compiled_equals_not_compiled():
    assert xla_works()
    image, ids = picture(channels=2)
    augmentation = Augmentation(noise=0.1, blur=1.0, scale=1.2)
    fast, fast_ids = augmentation(image, ids, SEED, jit_compile=True)
    slow, slow_ids = augmentation(image, ids, SEED, jit_compile=False)
    np.testing.assert_allclose(fast, slow, atol=5e-5)
    assert np.mean(fast_ids != slow_ids) < 2e-3


def test_switching_one_change_on_leaves_the_others():
    image, ids = picture()
    _, before = Augmentation()(image, ids, SEED, jit_compile=False)
    more = Augmentation(noise=0.2, blur=2.0, gamma=2.0)
    _, after = more(image, ids, SEED, jit_compile=False)
    np.testing.assert_array_equal(before, after)


def test_images_of_any_size_with_a_fixed_output():
    def images():
        yield picture((30, 41))
        yield picture((52, 17))

    spec = (tf.TensorSpec((None, None, 1)), tf.TensorSpec((None, None), tf.int32))
    ds = tf.data.Dataset.from_generator(images, output_signature=spec)
    ds = ds.map(lambda image, ids: Augmentation.none()(image, ids, SEED, shape=(20, 30)))
    (first, _), (second, ids) = ds
    np.testing.assert_array_equal(first, picture((30, 41))[0][5:25, 5:35])
    mirrored = np.pad(picture((52, 17))[0][16:36], ((0, 0), (7, 6), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(second, mirrored)
    assert ids.shape == (20, 30)


# === Grey values ===


def grey(image, **options):
    augmentation = Augmentation(**{**STILL, "sigma": 0, **options})
    labels = np.zeros(image.shape[:-1], np.int32)
    return augmentation(image, labels, SEED, jit_compile=False)[0].numpy()


def test_gamma_bends_between_lowest_and_highest_of_each_channel():
    image = np.array([[[0.0, -4.0], [1.0, -2.0], [4.0, 0.0]]], np.float32)
    expected = [[[0.0, -4.0], [4 / 16, -3.0], [4.0, 0.0]]]
    np.testing.assert_allclose(grey(image, gamma=(2, 2)), expected, rtol=1e-6)


def test_gamma_of_a_constant_image():
    image = np.full((3, 4, 1), 0.3, np.float32)
    np.testing.assert_array_equal(grey(image, gamma=(2, 2)), image)


def test_gain_and_offset():
    image, _ = picture()
    found = grey(image, gain=(1.5, 1.5), offset=(-0.25, -0.25))
    np.testing.assert_allclose(found, 1.5 * image - 0.25, rtol=1e-5, atol=1e-6)


def test_ranges_are_drawn_within_their_bounds():
    image = np.ones((1, 1, 1), np.float32)
    augmentation = Augmentation(**{**STILL, "sigma": 0, "gain": 2.0})
    labels = np.zeros((1, 1), np.int32)
    gains = np.array([augmentation(image, labels, (0, i))[0].numpy().item() for i in range(60)])
    assert 0.5 <= gains.min() < 0.6
    assert 1.7 < gains.max() <= 2.0
    assert 0.3 < np.mean(gains < 1) < 0.7  # log-uniform: as often darker as brighter


def test_noise_has_its_standard_deviation():
    image, _ = picture((64, 80))
    noise = grey(image, noise=(0.2, 0.2)) - image
    assert noise.std() == pytest.approx(0.2, rel=0.05)
    assert abs(noise.mean()) < 0.02


@pytest.mark.parametrize("shape", [(30, 21), (3, 2), (8, 9, 7)])
def test_blur_is_a_mirrored_gaussian(shape):
    image, _ = picture(shape)
    expected = ndimage.gaussian_filter(image[..., 0], 1.5, mode="mirror", radius=5)
    np.testing.assert_allclose(grey(image, blur=(1.5, 1.5))[..., 0], expected, atol=1e-5)


# === Options and errors ===


def test_config_round_trip_as_json():
    augmentation = Augmentation(grid=(3, 4), scale=(0.9, 1.2), resampling="cubic")
    config = json.loads(json.dumps(augmentation.get_config()))
    assert Augmentation.from_config(config) == augmentation
    assert hash(Augmentation.from_config(config)) == hash(augmentation)


ILL_OPTIONS = [
    ({"noise": -1}, "noise must not be negative"),
    ({"blur": (-1, 2)}, "blur must not be negative"),
    ({"gamma": 0.5}, "gamma must be a number x >= 1"),
    ({"gain": (2, 1)}, "low <= high"),
    ({"offset": "a"}, "offset must be a finite number"),
    ({"resampling": "nearest"}, "'nearest'"),
    ({"grid": 1}, "grid"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_OPTIONS)
def test_ill_options(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        Augmentation(**arguments)
    assert "Received: " in str(error.value)


IMAGE, IDS = picture((6, 8))
ILL_CALLS = [
    ((IMAGE[..., 0], IDS), {}, "two or three spatial axes"),
    ((IMAGE, IDS[0]), {}, "labels.shape"),
    ((IMAGE, IDS[:, :5]), {}, "same spatial shape"),
    ((IMAGE, IDS.astype(np.float32)), {}, "float32"),
    ((IMAGE, IDS), {"shape": (3, 4, 5)}, "2 known sizes"),
]


@pytest.mark.parametrize(("arguments", "options", "message"), ILL_CALLS)
def test_ill_calls(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation()(*arguments, SEED, **options)


def test_unknown_size_without_shape():
    spec = [tf.TensorSpec((None, 8, 1)), tf.TensorSpec((None, 8), tf.int32)]
    with pytest.raises(ValueError, match="images of a known shape"):
        tf.function(lambda i, m: Augmentation()(i, m, SEED), input_signature=spec)(IMAGE, IDS)
