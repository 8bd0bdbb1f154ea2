"""Tiles, targets and order of the training dataset, and that seed and index alone decide them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from keras_unet import Sample, UNetGeometry
from keras_unet.data import Augmentation, Normalization
from keras_unet.data.pipeline import training_dataset
from keras_unet.targets import ClassTarget, SeedTarget

pytestmark = pytest.mark.core

VALID = UNetGeometry(depth=1, padding="valid")  # 24 -> 8, margin 8
SAME = UNetGeometry(depth=1, padding="same")
TARGET = ClassTarget(weights="paper")
RAW = Normalization("none")


def sample(number=0, shape=(40, 52), channels=1, **annotation):
    """Every grey value is the pixel's own number, so that a tile shows where it was cut."""
    rng = np.random.default_rng(number)
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(*shape, 1) + 10_000 * number
    instances = np.zeros(shape, np.int32)
    for cell in range(1, 7):
        start = [rng.integers(0, size - 6) for size in shape]
        instances[tuple(slice(s, s + 6) for s in start)] = cell
    annotation = annotation or {"instances": instances}
    return Sample(values.repeat(channels, axis=-1), name=f"image{number}", **annotation)


def dataset(samples, geometry=SAME, tile=16, target=TARGET, normalization=RAW, **options):
    return training_dataset(
        samples, geometry, tile, target=target, normalization=normalization, **options
    )


def take(ds, count):
    return [tuple(part.numpy() for part in item) for item in ds.take(count)]


def assert_equal(one, other):
    for parts, others in zip(one, other, strict=True):
        for part, again in zip(parts, others, strict=True):
            np.testing.assert_array_equal(part, again)


SHAPE_CASES = [
    (VALID, 24, (40, 52), 1, (24, 24), (8, 8)),
    (VALID, (24, 30), (40, 52), 3, (24, 30), (8, 14)),
    (SAME, (16, 20), (40, 52), 2, (16, 20), (16, 20)),
    (SAME, 64, (40, 52), 1, (64, 64), (64, 64)),  # images smaller than the tile
    (UNetGeometry(1, "valid", 3), (24, 26, 24), (9, 40, 52), 1, (24, 26, 24), (8, 10, 8)),
]


@pytest.mark.parametrize(("geometry", "tile", "shape", "channels", "given", "out"), SHAPE_CASES)
def test_shapes_and_dtypes(geometry, tile, shape, channels, given, out):
    ds = dataset([sample(0, shape, channels)], geometry, tile, batch_size=2, jit_compile=False)
    image, y, weights = ds.element_spec
    assert (image.shape, image.dtype) == ((2, *given, channels), "float32")
    assert (y.shape, y.dtype) == ((2, *out), "int32")
    assert (weights.shape, weights.dtype) == ((2, *out), "float32")
    ((image, y, weights),) = take(ds, 1)
    assert (image.shape, y.shape, weights.shape) == ((2, *given, channels), (2, *out), (2, *out))


def test_a_target_with_channels():
    ((_, y, weights),) = take(dataset([sample()], VALID, 24, target=SeedTarget()), 1)
    assert (y.shape, y.dtype) == ((1, 8, 8, 2), np.float32)
    assert weights.shape == (1, 8, 8)


def padded(array, width):
    return np.pad(array, width, mode="reflect")


@pytest.mark.parametrize(("geometry", "tile"), [(VALID, (24, 26)), (SAME, (16, 20))])
def test_without_augmentation_tiles_are_crops_with_the_whole_images_weight_map(geometry, tile):
    one = sample()
    y_whole, weights_whole = TARGET.encode(padded(one.instances, 60))
    whole = padded(one.image[..., 0], 60)
    corners = set()
    for image, y, weights in take(dataset([one], geometry, tile), 12):
        image, y, weights = image[0, ..., 0], y[0], weights[0]
        lost = np.array(image.shape) - y.shape
        # The output's first pixel lies inside the image; its grey value says where.
        first = np.unravel_index(int(image[tuple(lost // 2)]), one.shape)
        corners.add(first)
        write = tuple(slice(60 + f, 60 + f + s) for f, s in zip(first, y.shape, strict=True))
        read = tuple(
            slice(w.start - n // 2, w.stop + n // 2) for w, n in zip(write, lost, strict=True)
        )
        np.testing.assert_array_equal(image, whole[read])
        np.testing.assert_array_equal(y, y_whole[write])
        np.testing.assert_array_equal(weights, weights_whole[write])
        assert all(f + s <= n for f, s, n in zip(first, y.shape, one.shape, strict=True))
    assert len(corners) > 6


def test_augmented_classes_follow_the_image():
    one = sample(shape=(60, 70))
    cells = Sample(one.instances[..., None], instances=one.instances)
    changes = Augmentation(gamma=1, gain=1, offset=0)
    for image, y, _ in take(dataset([cells], tile=(32, 40), augmentation=changes), 6):
        inside = y == 1  # deep inside of a cell and of the background interpolation sees one value
        assert image[..., 0][inside].min() > 0
        assert inside.any()
        assert (y == 0).any()


def test_epochs_visit_every_image_once_in_another_order():
    samples = [sample(n) for n in range(7)]
    visits = [int(image[0, 0, 0, 0]) // 10_000 for image, _, _ in take(dataset(samples), 21)]
    epochs = [tuple(visits[start : start + 7]) for start in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) == 3


@pytest.mark.parametrize("augmentation", [None, Augmentation(sigma=3, noise=0.1)])
def test_runs_repeat_resume_and_run_in_parallel_bit_for_bit(augmentation):
    samples = [sample(n) for n in range(3)]
    options = {"augmentation": augmentation, "batch_size": 2, "seed": 5}
    first = take(dataset(samples, **options, num_parallel_calls=1), 8)
    assert_equal(take(dataset(samples, **options, num_parallel_calls=4), 8), first)
    assert_equal(take(dataset(samples, **options, start=10), 3), first[5:])
    other = take(dataset(samples, **{**options, "seed": 6}), 8)
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))
    pixels = [image.tobytes() for images, _, _ in first for image in images]
    assert len(set(pixels)) > 13  # a crop may come twice


def test_pixels_without_annotation_have_no_weight():
    known = np.ones((40, 52), bool)
    known[:, 26:] = False
    one = sample()
    half = one.replace(annotated=known)
    for image, y, weights in take(dataset([half]), 4):
        column = image[..., 0].astype(int) % 52
        np.testing.assert_array_equal(y == -1, column >= 26)
        np.testing.assert_array_equal(weights == 0, column >= 26)


def test_class_maps_are_cut_with_the_image():
    classes = (np.arange(40 * 52).reshape(40, 52) % 3).astype(np.int32)
    target = ClassTarget(num_classes=3, weights=None)
    ((image, y, _),) = take(dataset([sample(classes=classes)], target=target), 1)
    np.testing.assert_array_equal(y, image[..., 0] % 3)


def test_weights_of_the_default_target():
    plain = take(training_dataset([sample()], SAME, 16, weights=None), 3)
    assert all((weights == 1).all() for _, _, weights in plain)
    border = take(training_dataset([sample()], SAME, 16), 3)
    assert any((weights > 1).any() for _, _, weights in border)


def test_images_are_normalized_whole():
    images = [image for image, _, _ in take(dataset([sample()], normalization=None), 9)]
    whole = Normalization()(sample().image)  # the default, as in the Segmenter
    assert all(np.isin(image, whole).all() for image in images)


def test_sampling_by_area_gives_large_images_more_tiles():
    samples = [sample(0, (16, 16)), sample(1, (32, 48))]
    visits = [
        int(image[0, 0, 0, 0]) // 10_000
        for image, _, _ in take(dataset(samples, sampling="area"), 14)
    ]
    assert visits.count(0) == 2
    assert visits.count(1) == 12


def test_foreground_fraction_finds_a_lone_pixel():
    instances = np.zeros((40, 52), np.int32)
    instances[33, 5] = 1
    samples = [sample(instances=instances)]
    always = [y.any() for _, y, _ in take(dataset(samples, foreground_fraction=1.0), 9)]
    never = [y.any() for _, y, _ in take(dataset(samples), 9)]
    assert all(always)
    assert not all(never)


def test_foreground_fraction_of_an_empty_image():
    empty = sample(instances=np.zeros((40, 52), np.int32))
    tiles = {image.tobytes() for image, _, _ in take(dataset([empty], foreground_fraction=1.0), 5)}
    assert len(tiles) == 5


def test_unsigned_images_of_several_sizes_share_one_dataset():
    samples = [
        Sample(np.full((*shape, 2), value, np.uint16), instances=np.ones(shape, np.int32))
        for value, shape in ((7, (5, 6)), (60_000, (40, 30)))
    ]
    changes = Augmentation(gamma=1, gain=1, offset=0)
    batches = take(dataset(samples, batch_size=2, augmentation=changes), 3)
    values = [set(np.unique(image).tolist()) for image, _, _ in batches]
    assert values == [{7.0, 60_000.0}] * 3


CLASSES = np.full((40, 52), 4, np.int32)
ILL_CASES = [
    ([], {}, "at least one sample"),
    ([sample(), sample(1, channels=3)], {}, "'image1'.*has 3, 'image0' has 1"),
    ([sample(0, (9, 40, 52))], {}, "has 3 spatial axes, but the network has 2"),
    ([sample(), sample(1).replace(instances=None)], {}, "'image1'.*no annotation"),
    (
        [sample(classes=CLASSES)],
        {"target": ClassTarget()},
        r"'image0'.*class 4, but the target has 2 classes; .*ClassTarget\(num_classes=5\)",
    ),
    (
        [sample()],
        {"target": ClassTarget(), "weights": "paper"},
        r"weights='paper' has no effect beside a target.*ClassTarget\(weights=...\)",
    ),
    ([sample(classes=CLASSES)], {"target": SeedTarget()}, "'image0'.*needs instances"),
    ([sample()], {"target": ClassTarget(num_classes=3)}, "'image0'.*needs a class map"),
    ([sample()], {"tile": 17}, "tile=17"),
    ([sample()], {"tile": (16, 16, 16)}, "one number or 2"),
    ([sample()], {"batch_size": 0}, "batch_size=0"),
    ([sample()], {"start": -1}, "start=-1"),
    ([sample()], {"sampling": "pixel"}, "'pixel'"),
    ([sample()], {"foreground_fraction": 1.5}, "foreground_fraction=1.5"),
    ([sample()], {"normalization": np.ravel}, "normalization must keep the shape"),
    ([sample()], {"augmentation": Augmentation(grid=(3, 3, 3))}, "grid"),
]


@pytest.mark.parametrize(("samples", "options", "message"), ILL_CASES)
def test_ill_cases(samples, options, message):
    with pytest.raises(ValueError, match=message):
        dataset(samples, **options)


FEED_JAX = """
import keras, numpy as np
from keras_unet import Sample, UNetGeometry
from keras_unet.data import Augmentation, training_dataset
image = np.zeros((20, 24, 1), "float32")
samples = [Sample(image, instances=np.ones((20, 24), "int32"))]
ds = training_dataset(samples, UNetGeometry(depth=1, padding="same"), 16, 2,
                      augmentation=Augmentation())
model = keras.Sequential([keras.layers.Conv2D(2, 1)])
model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(ds, steps_per_epoch=2, verbose=0)
assert keras.config.backend() == "jax"
"""


@pytest.mark.skipif(find_spec("jax") is None, reason="needs jax")
def test_feeds_a_model_on_the_jax_backend():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", FEED_JAX], check=True, env=environment, timeout=300)


LEAVE_EARLY = """
import numpy as np
from keras_unet import Sample, UNetGeometry
from keras_unet.data import training_dataset
ids = np.arange(200 * 300, dtype="int32").reshape(200, 300) // 50
ds = training_dataset([Sample(ids[..., None], instances=ids)], UNetGeometry(1, "same"), 192, 2)
iterator = iter(ds)
next(iterator)
"""


def test_a_program_can_end_while_tiles_are_read_ahead():
    subprocess.run([sys.executable, "-c", LEAVE_EARLY], check=True, timeout=120)


def test_elements_do_not_depend_on_how_many_are_read_ahead():
    ds = dataset([sample(0), sample(1)], augmentation=Augmentation())
    again = itertools.islice(iter(ds), 5)
    assert_equal(take(ds, 5), [tuple(part.numpy() for part in item) for item in again])
