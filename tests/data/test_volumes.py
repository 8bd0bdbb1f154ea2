"""Augmentation and training of volumes whose voxels are no cubes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_unet import Sample, UNetGeometry
from keras_unet.augmentation import field as warp
from keras_unet.data import Augmentation, training_dataset

STILL = {"sigma": 0, "flip": False, "gamma": 1, "gain": 1, "offset": 0, "rotation": 0}


def test_a_turn_keeps_lengths_where_pixels_are_no_squares():
    """Rows twice as far apart as columns: 90 degrees turn 2 rows into 4 columns."""
    rows = warp.matrix(3, 0.0, 1.0, 0.0, (1, 1, 1), 1.0, (5, 2, 1))
    np.testing.assert_allclose(np.array(rows), [[1, 0, 0], [0, 0, -0.5], [0, 2, 0]])
    even = warp.matrix(3, 0.6, 0.8, 0.0, (1, 1, 1), 1.0, (5, 1, 1))
    np.testing.assert_array_equal(np.array(even), warp.matrix(3, 0.6, 0.8, 0.0, (1, 1, 1), 1.0))


def test_sigma_shrinks_with_the_voxels():
    augmentation = Augmentation(sigma=4.0, spacing=(2.5, 0.5, 0.5))
    assert augmentation.pixel_sizes(3) == (5, 1, 1)
    assert augmentation.sigma_for((200, 200, 200)) == pytest.approx((0.8, 4, 4))
    with pytest.raises(ValueError, match="spacing needs one value or 2"):
        augmentation.sigma_for((200, 200))
    with pytest.raises(ValueError, match="positive number for each axis"):
        Augmentation(spacing=(1, 0, 1))
    assert Augmentation.from_config(augmentation.get_config()) == augmentation


def test_a_turned_bar_keeps_its_length():
    """A bar of 12 x 4 units, 6 rows of 2 units by 4 columns, turned by a right angle."""
    labels = np.zeros((3, 16, 32), np.int32)
    labels[:, 5:11, 14:18] = 1
    turn = Augmentation(**{**STILL, "rotation": (90.0, 90.0)}, spacing=(5, 2, 1))
    image = np.zeros((*labels.shape, 1), np.float32)
    _, turned = turn(tf.constant(image), tf.constant(labels), [0, 0])
    rows, columns = np.nonzero(turned.numpy()[1])
    assert np.unique(rows).tolist() == [7, 8]
    assert np.unique(columns).tolist() == list(range(10, 22))


def test_tiles_with_one_side_per_axis():
    generator = np.random.default_rng(0)
    image = generator.normal(size=(7, 21, 18, 1))
    sample = Sample(image, instances=(image[..., 0] > 1).astype(int), spacing=(3, 1, 1))
    geometry = UNetGeometry(1, "same", rank=3)
    augmentation = Augmentation(sigma=2, spacing=sample.spacing)
    dataset = training_dataset([sample], geometry, (4, 16, 12), augmentation=augmentation)
    image, classes, weights = next(iter(dataset))
    assert image.shape == (1, 4, 16, 12, 1)
    assert classes.shape == weights.shape == (1, 4, 16, 12)
    assert np.isfinite(image).all()
