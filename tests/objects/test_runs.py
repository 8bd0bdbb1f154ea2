import numpy as np
import pytest

from keras_unet.objects.runs import distinct, ranks, runs

pytestmark = pytest.mark.core

IMAGE = np.array([[7, 7, 0, 0], [0, 3, 3, 7]])


def test_runs_go_on_in_the_next_row():
    starts, lengths = runs(IMAGE)
    assert (starts.tolist(), lengths.tolist()) == ([0, 2, 5, 7], [2, 3, 2, 1])


def test_a_run_ends_where_one_of_several_images_changes():
    starts, lengths = runs(IMAGE, np.array([[1, 1, 1, 1], [1, 1, 2, 2]]))
    assert (starts.tolist(), lengths.tolist()) == ([0, 2, 5, 6, 7], [2, 3, 1, 1, 1])


def test_runs_of_nothing():
    assert [part.tolist() for part in runs(IMAGE[:0])] == [[], []]


@pytest.mark.parametrize("image", [IMAGE, IMAGE.T, IMAGE[:, ::-2], IMAGE + 2**40, IMAGE[:0]])
def test_ids_of_runs_are_ids_of_pixels(image):
    values, places = np.unique(image, return_inverse=True)
    np.testing.assert_array_equal(distinct(image), values)
    found, where = ranks(image)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(where, places.reshape(image.shape))
