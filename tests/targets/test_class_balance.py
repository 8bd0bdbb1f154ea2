import numpy as np
import pytest

from keras_unet.targets import balanced_class_weights, class_frequencies

pytestmark = pytest.mark.core

MAPS = [np.array([[0, 0, 0, 1]]), np.array([[1, -1], [0, 0]], "int8"), np.array([True, False])]

ILL_CASES = [
    (lambda: class_frequencies([], 2), "no pixel counts"),
    (lambda: class_frequencies([np.full((2, 3), -1)], 2), "no pixel counts"),
    (lambda: class_frequencies([np.array([0, 255])], 2), r"values 0\.\.255"),
    (lambda: class_frequencies([np.array([0, -1])], 2, ignore_class=None), r"values -1\.\.0"),
    (lambda: class_frequencies([np.array([0.5])], 2), "float64"),
    (lambda: balanced_class_weights([0.0, 0.0]), "not all 0"),
    (lambda: balanced_class_weights([0.5, -0.5]), "at least 0"),
    (lambda: balanced_class_weights([0.5, np.nan]), "at least 0"),
    (lambda: balanced_class_weights([[0.5, 0.5]]), "one number per class"),
]


def test_frequencies_of_the_data_set_without_ignored_pixels():
    np.testing.assert_allclose(class_frequencies(MAPS, 3), [6 / 9, 3 / 9, 0])


def test_another_ignored_class():
    frequencies = class_frequencies([np.array([[0, 255, 1]], "uint8")], 2, ignore_class=255)
    np.testing.assert_array_equal(frequencies, [0.5, 0.5])


def test_classes_weigh_the_same_and_the_mean_over_pixels_is_one():
    frequencies = np.array([0.9, 0.08, 0.02])
    weights = np.array(balanced_class_weights(frequencies))
    np.testing.assert_allclose(weights * frequencies, 1 / 3)
    np.testing.assert_allclose((weights * frequencies).sum(), 1)
    np.testing.assert_allclose(balanced_class_weights(frequencies * 1e6), weights)


def test_class_that_does_not_occur_weighs_one():
    assert balanced_class_weights([0.5, 0.0, 0.5]) == [1.0, 1.0, 1.0]
    assert balanced_class_weights([0.0, 1.0]) == [1.0, 1.0]


@pytest.mark.parametrize(("call", "message"), ILL_CASES)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
