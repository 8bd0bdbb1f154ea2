import numpy as np
import pytest

from keras_unet.data import Sample

pytestmark = pytest.mark.core

IMAGE = np.zeros((4, 5, 1), np.uint8)


def test_a_sample_knows_its_shape_and_derives_classes():
    instances = np.zeros((4, 5), np.uint16)
    instances[1, 2] = 7
    sample = Sample(IMAGE, instances, name="a")
    assert (sample.shape, sample.rank, sample.channels) == ((4, 5), 2, 1)
    assert sample.spacing == (1.0, 1.0)
    assert sample.instances.dtype == np.int32
    np.testing.assert_array_equal(sample.class_map(), instances > 0)


def test_given_classes_win_over_derived_ones():
    classes = np.full((4, 5), 2)
    sample = Sample(IMAGE, np.ones((4, 5), int), classes)
    np.testing.assert_array_equal(sample.class_map(), classes)


def test_volumes_spacing_and_annotated_maps():
    sample = Sample(
        np.zeros((2, 3, 4, 1), np.float32),
        annotated=np.arange(24).reshape(2, 3, 4) % 2,
        spacing=(2, 1, 1),
    )
    assert sample.rank == 3
    assert sample.annotated.dtype == bool
    assert sample.annotated.sum() == 12
    assert sample.spacing == (2.0, 1.0, 1.0)


def test_replace_checks_again():
    sample = Sample(IMAGE, name="a")
    assert sample.replace(name="b").name == "b"
    with pytest.raises(ValueError, match="sample 'a': instances must have the image's"):
        sample.replace(instances=np.zeros((5, 4), int))


def test_whole_floats_and_booleans_are_labels():
    assert Sample(IMAGE, np.ones((4, 5))).instances.dtype == np.int32
    assert Sample(IMAGE, np.ones((4, 5), bool)).instances.max() == 1


ILL_CASES = [
    ({"image": np.zeros((4, 5))}, "channel axis"),
    ({"image": np.zeros((0, 5, 1))}, "without empty axes"),
    ({"image": np.full((4, 5, 1), "x")}, "real numbers"),
    ({"image": np.zeros((4, 5, 1), complex)}, "real"),
    ({"image": np.full((4, 5, 1), np.nan)}, "20 NaN"),
    ({"image": IMAGE, "instances": np.full((4, 5), 0.5)}, "whole numbers"),
    ({"image": IMAGE, "instances": np.full((4, 5), -1)}, "2\\*\\*31-1"),
    ({"image": IMAGE, "classes": np.full((4, 5), 2**31)}, "2\\*\\*31-1"),
    ({"image": IMAGE, "annotated": np.ones((4, 4))}, "spatial shape"),
    ({"image": IMAGE, "spacing": (1.0,)}, "2 positive numbers"),
    ({"image": IMAGE, "spacing": (1.0, 0.0)}, "2 positive numbers"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sample(**arguments)


def test_a_sample_without_annotation_has_no_class_map():
    with pytest.raises(ValueError, match="'raw' has neither"):
        Sample(IMAGE, name="raw").class_map()
