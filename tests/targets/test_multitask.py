"""The maps of the heads of a multitasking network, by hand."""

import colorsys

import numpy as np
import pytest

from keras_unet.targets import MultitaskTarget, multitask_labels

pytestmark = pytest.mark.core


def test_by_hand():
    classes = np.array(
        [
            [0, 0, 0, 0, 0, 0, 0],
            [0, 1, 1, 1, 0, 0, 0],
            [0, 1, 1, 1, 0, 0, 2],
            [0, 1, 1, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0],
        ]
    )
    maps = multitask_labels(classes, 4)
    assert set(maps) == {"segmentation", "boundary", "distance"}
    for name in maps:
        assert maps[name].shape == (5, 7, 4)
        assert maps[name].dtype == np.float32
        assert not maps[name][..., 3].any()  # a class that does not occur
    np.testing.assert_array_equal(maps["segmentation"].argmax(axis=-1), classes)
    np.testing.assert_array_equal(maps["segmentation"].sum(axis=-1), np.ones((5, 7)))
    square = np.zeros((5, 7))
    square[:, :5] = 1
    square[2, 2] = 0  # only the middle has no other class in its window
    np.testing.assert_array_equal(maps["boundary"][..., 1], square)
    dot = np.zeros((5, 7))
    dot[1:4, 5:] = 1
    np.testing.assert_array_equal(maps["boundary"][..., 2], dot)
    np.testing.assert_array_equal(maps["boundary"][..., 0], np.maximum(square, dot))
    inside = np.zeros((5, 7))
    inside[1:4, 1:4] = 0.5
    inside[2, 2] = 1
    np.testing.assert_array_equal(maps["distance"][..., 1], inside)
    np.testing.assert_array_equal(maps["distance"][..., 2], classes == 2)
    # The farthest background is at the corners on the right: sqrt(8) from (2, 6) is 2 rows away.
    background = maps["distance"][..., 0]
    assert background.max() == 1
    assert background[0, 0] == pytest.approx(np.sqrt(2) / background_distance(classes).max())


def background_distance(classes):
    """Distance of background pixels to the nearest other one, by all pairs."""
    others = np.argwhere(classes > 0)
    pixels = np.argwhere(classes == 0)
    return np.sqrt(((pixels[:, None] - others) ** 2).sum(axis=-1)).min(axis=1)


def test_every_object_has_its_own_maximum():
    classes = np.array([0, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1])
    distance = multitask_labels(classes, 2)["distance"]
    expected = np.array([0, 1, 2, 3, 2, 1, 0, 3, 0, 1.5, 3]) / 3  # the rim is no edge
    np.testing.assert_allclose(distance[..., 1], expected, rtol=1e-6)
    np.testing.assert_array_equal(distance[..., 0], classes == 0)


def test_objects_that_meet_at_a_corner_are_one():
    classes = np.zeros((6, 7), int)
    classes[:3, :3] = 1
    classes[3, 3] = 1
    distance = multitask_labels(classes, 2)["distance"][..., 1]
    assert distance[0, 0] == 1
    assert distance[3, 3] == pytest.approx(1 / 3)


def test_a_class_that_fills_the_image():
    maps = multitask_labels(np.zeros((2, 3, 4), "uint8"), 1)
    assert (maps["distance"] == 1).all()
    assert not maps["boundary"].any()
    assert maps["segmentation"].shape == (2, 3, 4, 1)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 3, 2)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_colours_are_those_of_colorsys(dtype, shape):
    rng = np.random.default_rng(0)
    image = rng.random((*shape, 3))
    image.reshape(-1, 3)[:2] = [[0, 0, 0], [1, 0, 1]]
    scale = 1 if dtype.startswith("float") else np.iinfo(dtype).max
    image = (image * scale).astype(dtype)
    color = multitask_labels(np.zeros(shape, int), 2, image)["color"]
    assert color.shape == image.shape
    assert color.dtype == np.float32
    expected = [colorsys.rgb_to_hsv(*pixel) for pixel in image.reshape(-1, 3) / float(scale)]
    np.testing.assert_allclose(color.reshape(-1, 3), expected, atol=1e-5)


GOOD = np.zeros((3, 4), int)
ILL_CASES = [
    ((GOOD, 0), "num_classes must be a positive integer. Received: num_classes=0"),
    ((GOOD + 2, 2), r"must lie in 0\.\.1; give pixels.*Received: values 2\.\.2"),
    ((GOOD - 1, 2), r"Received: values -1\.\.-1"),
    ((GOOD * 1.0, 2), "must be integers. Received: dtype=float64"),
    ((GOOD[:0], 2), r"none of them empty. Received: shape=\(0, 4\)"),
    ((GOOD[None, None], 2), "1 to 3 axes"),
    ((GOOD, 2, np.zeros((3, 4, 1))), r"image must be RGB, \(3, 4, 3\).*Received"),
    ((GOOD, 2, np.full((3, 4, 3), 2.0)), r"floats in 0\.\.1.*values 2\.0\.\.2\.0"),
    ((GOOD, 2, np.zeros((3, 4, 3), int)), "Received: dtype=int64"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        multitask_labels(*arguments)


# === The target ===


def test_the_maps_lie_side_by_side():
    target = MultitaskTarget(num_classes=2)
    cells = np.array([[1, 1, 1, 0, 0, 0, 0]])
    y, weights = target.encode(cells)
    maps = multitask_labels((cells > 0).astype(int), 2)
    assert target.target_channels == 6
    for place, name in enumerate(target.heads):
        np.testing.assert_array_equal(y[..., 2 * place : 2 * place + 2], maps[name])
    np.testing.assert_array_equal(weights, np.ones((1, 7)))


def test_pixels_without_annotation_have_no_weight():
    cells, annotated = np.array([[1, 1, 0, 0]]), np.array([[True, False, True, True]])
    y, weights = MultitaskTarget().encode(cells, annotated=annotated)
    np.testing.assert_array_equal(weights, annotated)
    assert np.isfinite(y).all()


def test_touching_cells_have_a_gap_and_a_boundary_between_them():
    y, _ = MultitaskTarget().encode(np.array([[1, 1, 1, 2, 2, 2]]))
    np.testing.assert_array_equal(y[0, :, 1], [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(y[0, :, 3], [0, 0, 1, 1, 1, 0])


def test_configuration_of_the_target():
    target = MultitaskTarget(3, connectivity=2, threshold=0.4, min_size=5, close_gaps=True)
    assert MultitaskTarget(**target.get_config()).get_config() == target.get_config()
    assert target.num_outputs == 3
