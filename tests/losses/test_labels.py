"""check_labels: what is wrong with a label map, in words."""

import numpy as np
import pytest

from keras_unet.losses import check_labels

pytestmark = pytest.mark.core

GOOD_CASES = [
    (np.array([[0, 1, 1]]), 2, None),
    (np.array([[True, False]]), 2, None),
    (np.array([[0.0, 2.0]], "float32"), 3, None),
    (np.array([[0, 255, 1]], "uint8"), 2, 255),
    (np.array([[0, -1]]), 2, -1),
    (np.zeros((0, 3), int), 2, None),
    ([[0, 1]], 2, None),
]

ILL_CASES = [
    (np.array([[0, 255]], "uint8"), 2, None, r"values seen: 0, 255\. .*mask > 0"),
    (np.array([[0, 50, 100]], "uint8"), 3, None, r"values seen: 0, 50, 100\. .*searchsorted"),
    (np.arange(256, dtype="uint8"), 2, None, r"0, 1, 2, 3, 4, \.\.\., 251, .*256 different.*JPEG"),
    (np.array([[0.0, 0.5, 1.0]]), 2, None, r"whole numbers.*values seen: 0, 0\.5, 1\."),
    (np.array([[0.0, np.nan]]), 2, None, r"values seen: 0, nan"),
    (np.array([[0, 1, -1]]), 2, None, r"values seen: -1, 0, 1"),
    (np.array([[0, 1, 7]]), 2, -1, r"0\.\.1 or -1 \(ignored\); values seen: 0, 1, 7"),
]


@pytest.mark.parametrize(("labels", "num_classes", "ignore_class"), GOOD_CASES)
def test_good_labels(labels, num_classes, ignore_class):
    check_labels(labels, num_classes, ignore_class)


@pytest.mark.parametrize(("labels", "num_classes", "ignore_class", "message"), ILL_CASES)
def test_ill_labels(labels, num_classes, ignore_class, message):
    with pytest.raises(ValueError, match=rf"^a\.png holds .*{message}.*Received: num_classes="):
        check_labels(labels, num_classes, ignore_class, name="a.png")
