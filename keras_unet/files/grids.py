"""Where the voxels of a NIfTI mask lie, compared with those of its image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_unet._extras import import_extra
from keras_unet.errors import UsageError
from keras_unet.files.nifti import is_nifti, nifti_header
from keras_unet.files.notes import note

NEAR = 0.1
"""Part of a voxel by which grids may differ, as headers round."""


def on_grid_of(labels: np.ndarray, mask: Path, image: Path) -> np.ndarray:
    """Labels of a mask in the order of the image's voxels.

    Where both are NIfTI files, their headers tell where each voxel lies. Axes of the mask that are
    swapped or reversed are put right. Files of other formats tell nothing.

    Args:
        labels: `(D, H, W)` or `(H, W)` as they are stored.
        mask: Their file.
        image: The image's file.

    Returns:
        The labels, turned if need be; those of another shape than the image's as they are.

    Raises:
        ValueError: If the grids differ in any other way.
    """
    if not (is_nifti(mask) and is_nifti(image)):
        return labels
    ours, theirs = nifti_header(mask), nifti_header(image)
    shape, wanted = ((*one.get_data_shape()[:3], 1)[:3] for one in (ours, theirs))
    affine, image_affine = ours.get_best_affine(), theirs.get_best_affine()
    if _near(affine, image_affine, wanted):
        return labels
    orientations = import_extra("nibabel", "NIfTI files", "'keras-unet-bio[volumes]'").orientations
    ends = [orientations.io_orientation(one) for one in (affine, image_affine)]
    if not np.isfinite(ends).all():
        raise _other_grid(mask, image)
    turn = orientations.ornt_transform(*ends)
    turned = orientations.apply_orientation(labels.reshape(shape[::-1]).T, turn)
    if turned.shape != wanted or (labels.ndim == 2 and wanted[2] != 1):
        return labels
    if not _near(affine @ orientations.inv_ornt_aff(turn, shape), image_affine, wanted):
        raise _other_grid(mask, image)
    note("turned_mask", mask)
    return np.ascontiguousarray(turned.T).reshape(wanted[::-1][-labels.ndim :])


def _near(affine: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether the corners of two grids of one shape lie at the same places."""
    corners = np.stack(np.meshgrid(*([0, size - 1] for size in shape)), axis=-1).reshape(-1, 3)
    away = np.abs(corners @ (affine - other)[:3, :3].T + (affine - other)[:3, 3]).max()
    return bool(away < NEAR * np.linalg.norm(other[:3, :3], axis=0).min())


def _other_grid(mask: Path, image: Path) -> UsageError:
    return UsageError(
        f"{mask} and {image} have one shape, but their headers put the voxels at different places",
        "annotate on the image's own grid, or, if both lie on each other as they are stored, copy "
        "the image's header to the mask",
    )
