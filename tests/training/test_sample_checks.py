from __future__ import annotations

import logging
import re

import numpy as np
import pytest

from keras_unet.geometry.unet import UNetGeometry
from keras_unet.sample import Sample
from keras_unet.training.sample_checks import (
    check_samples,
    choose_tile,
    count_classes,
    warn_batch_norm,
    warn_lost_objects,
    warn_samples,
)

pytestmark = pytest.mark.core

SHAPE = (6, 8)


def image(channels=1, shape=SHAPE):
    return np.arange(np.prod(shape) * channels, dtype=np.float32).reshape(*shape, channels)


def cells(*boxes, shape=SHAPE):
    ids = np.zeros(shape, np.int32)
    for number, (top, left, bottom, right) in enumerate(boxes, start=1):
        ids[top:bottom, left:right] = number
    return ids


TWO = cells((0, 0, 2, 3), (3, 4, 5, 7))  # 6 + 6 of 48 pixels


def test_count_classes():
    table = count_classes([Sample(image(), TWO)])
    assert table.pixels == (36, 12)
    assert table.objects == 2
    assert table.fractions == (0.75, 0.25)
    assert str(table) == "class 0: 75.00%, class 1: 25.00%, 2 objects"


def test_only_annotated_pixels_count():
    annotated = np.zeros(SHAPE, bool)
    annotated[:, :3] = True
    table = count_classes([Sample(image(), TWO, annotated=annotated)])
    assert table.pixels == (12, 6)


def test_number_of_classes_is_the_highest_of_all_samples():
    low, high = np.zeros(SHAPE, int), np.full(SHAPE, 3)
    table = count_classes([Sample(image(), classes=low), Sample(image(), classes=high)])
    assert table.pixels == (48, 0, 0, 48)
    assert table.objects is None


def test_good_samples_pass_silently(caplog):
    many = cells(*[(row, col, row + 1, col + 1) for row in (0, 2, 4) for col in (0, 2, 4, 6)])
    samples = [Sample(image(), many), Sample(image(), many)]
    warn_samples(samples, check_samples(samples, num_classes=2, needs_instances=True))
    assert not caplog.records


CLASSES = (TWO > 0).astype(int)
ILL_SAMPLES = [
    ([], {}, "there is no training sample"),
    ([], {"role": "validation"}, "there is no validation sample"),
    (
        [Sample(image(), TWO), Sample(image(3), TWO, name="rgb")],
        {},
        r"sample 1 \(rgb\) has shape \(6, 8, 3\), sample 0 has \(6, 8, 1\)",
    ),
    (
        [Sample(image(), name="a"), Sample(image(3), name="b")],
        {"role": "validation"},
        r"^validation sample 0 \(a\) has no instances and no classes; give Sample",
    ),
    ([Sample(image(), name="bare")], {}, r"sample 0 \(bare\) has no instances and no classes"),
    ([Sample(image(), classes=CLASSES)], {"needs_instances": True}, "has classes and no instances"),
    ([Sample(image(), np.zeros(SHAPE, int))], {}, "no pixel of the 1 training samples"),
    ([Sample(image(), classes=255 * CLASSES)], {}, r"the classes are \[0, 255\]"),
    (
        [Sample(image(), classes=5 * CLASSES)],
        {"num_classes": 3},
        "values are 0, 5; raise num_classes=3",
    ),
    (
        [Sample(image(), classes=np.arange(48).reshape(SHAPE))],
        {"num_classes": 2},
        r"0\.\.1, but the values are 0, 1, 2, 3, 4, 5, 6, 7, \.\.\. 47",
    ),
    ([Sample(image(), TWO, annotated=np.zeros(SHAPE))], {}, "has no annotated pixel"),
]


@pytest.mark.parametrize(("samples", "options", "message"), ILL_SAMPLES)
def test_ill_samples(samples, options, message):
    with pytest.raises(ValueError, match=message):
        check_samples(samples, **options)


def one_cell(shape):
    ids = np.zeros(shape, np.int32)
    ids[0, 0] = 1
    return Sample(image(shape=shape), ids)


EMPTY = Sample(image(), np.zeros(SHAPE, int), name="empty")
WARNINGS = [
    ([Sample(image(), TWO), EMPTY], r"1 of 2 masks are empty: sample 1 \(empty\)"),
    ([Sample(image(), 255 * (TWO > 0))], "one instance id for 2 separate pieces"),
    ([Sample(image(), TWO)], "only 2 objects are annotated"),
    ([one_cell((32, 40))], "class 1 has only 0.078 % of the annotated pixels"),
    ([Sample(image(), classes=np.ones(SHAPE, int))], "class 0 does not occur"),
]


@pytest.mark.parametrize(("samples", "message"), WARNINGS)
def test_warnings(samples, message, caplog):
    with caplog.at_level(logging.WARNING, "keras_unet"):
        warn_samples(samples, count_classes(samples))
    assert any(re.search(message, text) for text in caplog.messages)


def test_constant_image_is_named(caplog):
    check_samples([Sample(np.full((*SHAPE, 1), 7), TWO, name="blank")])
    assert caplog.messages == ["sample 0 (blank): all pixels of the image are 7"]


def test_lost_objects(caplog):
    full = Sample(image(), cells((0, 0, 2, 3), (3, 4, 5, 7), (5, 0, 6, 1)))
    semantic = Sample(image(), classes=CLASSES)
    warn_lost_objects([full, semantic], [full, semantic], 0.5)
    warn_lost_objects([semantic], [semantic], 0.5)
    assert not caplog.messages
    warn_lost_objects([full, full], [Sample(image(), TWO), full], 0.5)
    assert caplog.messages[0].startswith("1 of 6 objects vanish at resolution 0.5")


@pytest.mark.parametrize(("batch_size", "warns"), [(1, True), (3, True), (4, False)])
def test_batch_norm(batch_size, warns, caplog):
    warn_batch_norm(batch_size)
    assert bool(caplog.messages) == warns


TILES = [
    # geometry, image shape, asked, chosen
    (UNetGeometry(4, "valid"), (512, 600), 572, 572),
    (UNetGeometry(4, "valid"), (512, 600), None, 444),  # 260 px of output
    (UNetGeometry(4, "same"), (512, 600), None, 256),
    (UNetGeometry(4, "same"), (100, 90), None, 112),  # the smallest that holds the image
    (UNetGeometry(2, "same", rank=3), (70, 90, 80), None, 64),
]


@pytest.mark.parametrize(("geometry", "shape", "asked", "chosen"), TILES)
def test_choose_tile(geometry, shape, asked, chosen, caplog):
    sample = Sample(np.zeros((*shape, 1), np.uint8))
    assert choose_tile(geometry, [sample], asked) == chosen
    assert not caplog.messages


def test_tile_of_volumes():
    samples = [Sample(np.zeros((*shape, 1), np.uint8)) for shape in ((9, 70, 33), (12, 40, 90))]
    geometry = UNetGeometry(2, "same", rank=3)
    assert choose_tile(geometry, samples, None) == (12, 64, 64)
    assert choose_tile(geometry, samples, 16) == 16
    assert choose_tile(geometry, samples, [8, 16, 16]) == (8, 16, 16)
    with pytest.raises(ValueError, match=r"one side or 3 of them, one per axis, not \[8, 16\]"):
        choose_tile(geometry, samples, [8, 16])


def test_illegal_tile_names_the_nearest():
    sample = Sample(np.zeros((700, 600, 1), np.uint8))
    with pytest.raises(ValueError, match="nearest are 588 and 604"):
        choose_tile(UNetGeometry(4, "valid"), [sample], 600)


def test_tile_larger_than_every_image(caplog):
    sample = Sample(np.zeros((60, 50, 1), np.uint8))
    assert choose_tile(UNetGeometry(3, "same"), [sample], 128) == 128
    assert "a tile of 64 is enough" in caplog.text
