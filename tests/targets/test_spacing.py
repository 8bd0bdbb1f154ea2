"""Targets whose distances are physical: voxels that are no cubes."""

from __future__ import annotations

import numpy as np
import pytest

from keras_unet.targets import ClassTarget, SeedTarget

pytestmark = pytest.mark.core

APART = np.zeros((3, 1, 1), np.int32)  # two cells, a slice between them
APART[0], APART[2] = 1, 2


def test_weights_count_physical_distances():
    """Slices 3 units apart: the middle voxel is 3 units from each of both cells."""
    target = ClassTarget(weights={"w0": 10.0, "sigma": 5.0}, spacing=(3, 1, 1))
    _, weights = target.encode(APART)
    assert weights[1, 0, 0] == pytest.approx(1 + 10 * np.exp(-((3 + 3) ** 2) / (2 * 5**2)))
    _, plain = ClassTarget(weights={"w0": 10.0, "sigma": 5.0}).encode(APART)
    assert plain[1, 0, 0] == pytest.approx(1 + 10 * np.exp(-((1 + 1) ** 2) / (2 * 5**2)))


def test_depth_counts_physical_distances():
    cell = np.zeros((5, 1, 1), np.int32)
    cell[1:4] = 7
    y, _ = SeedTarget(clip=8, normalization="clip", spacing=(3, 1, 1)).encode(cell)
    np.testing.assert_allclose(y[:, 0, 0, 1], [0, 3 / 8, 6 / 8, 3 / 8, 0])


@pytest.mark.parametrize("target", [ClassTarget, SeedTarget])
def test_halo_and_config(target):
    assert target(spacing=(1, 1, 1)).halo == target().halo
    assert target(spacing=(1, 0.5, 1)).halo > target().halo
    again = target.from_config(target(spacing=(2, 1, 1)).get_config())
    assert again.spacing == [2.0, 1.0, 1.0]
    assert target.from_config(target().get_config()).spacing is None


@pytest.mark.parametrize("spacing", [(), (1, 0), (1, float("nan"))])
def test_ill_spacing(spacing):
    for target in (ClassTarget, SeedTarget):
        with pytest.raises(ValueError, match="positive number for each axis"):
            target(spacing=spacing)
