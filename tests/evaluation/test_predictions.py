"""Predictions of other programs, in every form that they may have."""

import cv2
import numpy as np
import pytest
import tifffile

from keras_unet.evaluation.predictions import read_predictions
from keras_unet.files.writing import write_image, write_labels
from keras_unet.sample import Sample

pytestmark = pytest.mark.core

IDS = np.array([[7, 7, 0, 2], [7, 7, 0, 2], [0, 0, 0, 0]])  # (3, 4); 2 and 7 become 1 and 2
NUMBERED = np.array([[2, 2, 0, 1], [2, 2, 0, 1], [0, 0, 0, 0]])
PARTS = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 0, 0]])  # as the first pixels follow
CELLS = IDS > 0
SAMPLE = Sample(np.zeros((3, 4, 1)), instances=PARTS, name="a")
CLASSES = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [0, 0, 0, 2]])
SEMANTIC = Sample(np.zeros((3, 4, 1)), classes=CLASSES, name="a")


def read(folder, sample=SAMPLE, **options):
    return read_predictions(folder, [sample], **options)


def tiff(path, values):
    tifffile.imwrite(path, values, photometric="minisblack")


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [("png", "u1"), ("png", "u2"), ("tif", "u1"), ("tif", "u2"), ("tif", "u4"), ("tif", "f4")],
)
def test_instances(tmp_path, suffix, dtype):
    write_image(tmp_path / f"a.{suffix}", IDS.astype(dtype)[..., None])
    predictions = read(tmp_path)
    assert predictions.kind == "instances, an id per object"
    assert predictions.class_names == ["background", "object"]
    (found,) = predictions.found
    np.testing.assert_array_equal(found.instances, NUMBERED)
    np.testing.assert_array_equal(found.classes, CELLS)
    np.testing.assert_array_equal(found.probabilities[..., 1], CELLS)


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("membrane", [False, True])
def test_binary_masks(tmp_path, value, membrane):
    cv2.imwrite(str(tmp_path / "a.png"), np.logical_xor(CELLS, membrane).astype(np.uint8) * value)
    predictions = read(tmp_path, membrane=membrane)
    assert predictions.kind == f"binary masks of {'membrane' if membrane else 'the foreground'}"
    np.testing.assert_array_equal(predictions.found[0].instances, PARTS)


def test_class_maps_have_their_parts_as_instances(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), CLASSES)
    predictions = read(tmp_path, SEMANTIC)
    assert predictions.kind == "classes"
    assert predictions.class_names == ["class 0", "class 1", "class 2"]
    (found,) = predictions.found
    np.testing.assert_array_equal(found.classes, CLASSES)
    np.testing.assert_array_equal(found.instances, [[0, 0, 1, 1], [0, 2, 2, 1], [0, 0, 0, 3]])
    np.testing.assert_array_equal(found.probabilities.argmax(-1), CLASSES)


def test_a_class_that_the_truth_lacks(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), CLASSES + (CLASSES == 2))
    with pytest.raises(ValueError, match=r"a.png must hold class numbers.*values 0, 1, 3$"):
        read(tmp_path, SEMANTIC.replace(classes=CLASSES > 0))
    cv2.imwrite(str(tmp_path / "a.png"), CLASSES)
    assert len(read(tmp_path, SEMANTIC.replace(classes=CLASSES > 0)).class_names) == 3


VALUES = np.array([[0.9, 0.6, 0.2, 0.51], [0.8, 0.7, 0.1, 0.6], [0.0, 0.4, 0.5, 0.3]], np.float32)


def test_probabilities(tmp_path):
    tiff(tmp_path / "a.tif", VALUES)
    predictions = read(tmp_path)
    assert predictions.kind == "probabilities of the foreground"
    np.testing.assert_array_equal(predictions.found[0].instances, PARTS)  # 0.5 is not above 0.5
    np.testing.assert_array_equal(predictions.found[0].probabilities[..., 1], VALUES)
    classes = read(tmp_path, threshold=0.55).found[0].classes
    np.testing.assert_array_equal(classes, VALUES > 0.55)
    turned = read(tmp_path, membrane=True)
    assert turned.kind == "probabilities of membrane"
    np.testing.assert_array_equal(turned.found[0].classes, VALUES < 0.5)


@pytest.mark.parametrize(("dtype", "full"), [("uint8", 255), ("uint16", 65535)])
def test_probabilities_as_integers(tmp_path, dtype, full):
    cv2.imwrite(str(tmp_path / "a.png"), np.rint(VALUES * full).astype(dtype))
    predictions = read(tmp_path, kind="probabilities")
    assert predictions.kind == f"probabilities of the foreground, values / {full}"
    np.testing.assert_allclose(predictions.found[0].probabilities[..., 1], VALUES, atol=0.5 / full)


def test_eight_bits_are_probabilities_where_the_data_says_so(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), IDS.astype(np.uint8))
    assert read(tmp_path, grey_is_probability=True).kind.startswith("probabilities")
    cv2.imwrite(str(tmp_path / "a.png"), IDS.astype(np.uint16))
    assert read(tmp_path, grey_is_probability=True).kind.startswith("instances")


@pytest.mark.parametrize("last", [False, True])
def test_a_plane_for_each_class(tmp_path, last):
    planes = np.stack([VALUES / 4, VALUES * 3 / 4, 1 - VALUES], axis=-1 if last else 0)
    tifffile.imwrite(tmp_path / "a_probabilities.tif", planes, photometric="minisblack")
    predictions = read(tmp_path, SEMANTIC)
    assert predictions.kind == "probabilities of each class"
    expected = np.where(VALUES * 3 / 4 > 1 - VALUES, 1, 2) * (VALUES > 0)
    expected[VALUES == 0] = 2
    np.testing.assert_array_equal(predictions.found[0].classes, expected)


def test_what_predict_writes(tmp_path):
    """The files of a run go together: the instances need not be the parts of the classes."""
    touching = np.array([[1, 1, 2, 2], [0, 0, 0, 0], [0, 0, 3, 3]])
    depth = np.stack([VALUES, VALUES])  # foreground and depth of `SeedTarget`
    write_labels(tmp_path / "a_instances.png", touching)
    write_labels(tmp_path / "a_classes.png", touching > 0)
    tiff(tmp_path / "a_probabilities.tif", depth)
    (found,) = read(tmp_path).found
    np.testing.assert_array_equal(found.instances, touching)
    np.testing.assert_array_equal(found.classes, touching > 0)
    np.testing.assert_array_equal(found.probabilities[..., 0], VALUES)
    (found,) = read(tmp_path, kind="classes").found
    assert found.instances.max() == 2


def test_volumes(tmp_path):
    ids = np.zeros((2, 3, 4), int)
    ids[:, 0, :2], ids[1, 2, 3] = 1, 2
    sample = Sample(np.zeros((2, 3, 4, 1)), instances=ids, name="v")
    write_labels(tmp_path / "v.tif", ids)
    np.testing.assert_array_equal(read(tmp_path, sample).found[0].instances, ids)
    (tmp_path / "v.tif").unlink()
    planes = np.stack([ids == 0, ids > 0]).astype(np.float32)
    tifffile.imwrite(
        tmp_path / "v_probabilities.tif", planes, photometric="minisblack", compression="zlib"
    )
    np.testing.assert_array_equal(read(tmp_path, sample).found[0].instances, ids)


def test_a_stack(tmp_path):
    samples = [SAMPLE.replace(name=f"train/{number}") for number in (2, 0)]
    stack = np.stack([PARTS, PARTS * 0, NUMBERED, PARTS * 0]).astype(np.uint8)
    tiff(tmp_path / "stack.tif", stack)
    predictions = read_predictions(tmp_path / "stack.tif", samples, places=[2, 0], partial=True)
    for found, expected in zip(predictions.found, (NUMBERED, PARTS), strict=True):
        np.testing.assert_array_equal(found.instances, expected)


SCATTERED = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [2, 0, 2, 0]])
ILL_CASES = {
    "kind": ("a.png", IDS, SAMPLE, {"kind": "masks"}, "predictions must be one of"),
    "size": ("a.png", IDS.T, SAMPLE, {}, r"a.png must have the size \(3, 4\) of sample 'a'"),
    "scattered ids": ("a.png", SCATTERED, SAMPLE, {}, "a.png looks neither.*values 0, 1, 2$"),
    "no instances": ("a.png", IDS, SEMANTIC, {"kind": "instances"}, "'a' has classes but no inst"),
    "fractions as ids": ("a.tif", VALUES, SAMPLE, {"kind": "instances"}, "a.tif must hold whole"),
    "too large": ("a.tif", VALUES * 2, SAMPLE, {}, r"a.tif must hold probabilities.*0.0\.\.1.79"),
    "32 bits": ("a.tif", IDS.astype("u4"), SAMPLE, {"kind": "probabilities"}, "8 or 16 bits"),
    "threshold of ids": ("a.png", IDS, SAMPLE, {"threshold": 0.4}, "threshold=0.4 for instances"),
    "threshold": ("a.tif", VALUES, SAMPLE, {"threshold": 1.0}, "threshold must be between"),
    "membrane of ids": (
        "a.png",
        IDS,
        SAMPLE,
        {"membrane": True},
        "a.png holds .* leave membrane away",
    ),
    "membrane of classes": ("a.png", CLASSES, SEMANTIC, {"membrane": True}, "leave membrane away"),
    "membrane of planes": (
        *("a_probabilities.tif", np.stack([VALUES, 1 - VALUES]), SAMPLE),
        *({"membrane": True}, "leave membrane away"),
    ),
    "planes without labels": (
        *("a_probabilities.tif", np.stack([VALUES, VALUES]), SAMPLE, {}),
        "2 planes with other sums",
    ),
    "too few planes": (
        *("a_probabilities.tif", np.stack([VALUES, 1 - VALUES]), SEMANTIC, {}),
        "each of 3 classes or more.*2 planes$",
    ),
    "another role": ("a_classes.png", CELLS, SAMPLE, {"kind": "instances"}, "here NAME_instances"),
}


@pytest.mark.parametrize("case", ILL_CASES)
def test_errors(case, tmp_path):
    name, values, sample, options, message = ILL_CASES[case]
    if name.endswith(".png"):
        cv2.imwrite(str(tmp_path / name), values.astype(np.uint8))
    else:
        tiff(tmp_path / name, values)
    with pytest.raises(ValueError, match=message):
        read(tmp_path, sample, **options)


def test_kinds_must_agree(tmp_path):
    samples = [SAMPLE, SAMPLE.replace(name="b")]
    write_labels(tmp_path / "a_instances.png", IDS)
    write_labels(tmp_path / "b.png", IDS)
    with pytest.raises(
        ValueError, match=r"of one kind, here NAME, NAME_instances. Received: .*a_i"
    ):
        read_predictions(tmp_path, samples)
