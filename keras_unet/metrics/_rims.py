"""Rims of objects, and how well those of a true and a predicted object agree."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from keras_unet._compiled import compiled
from keras_unet.metrics._overlap import Overlap, overlap
from keras_unet.objects.runs import ranks


def rim_scores(
    true: np.ndarray, pred: np.ndarray, pairs: Overlap, distance: int
) -> tuple[float, ...]:
    """Intersection over union of the rims of every pair in which a true object is found.

    Args:
        true: Checked label image.
        pred: The same for the prediction.
        pairs: Overlap of both.
        distance: Width of the rim in pixels.

    Returns:
        A number for each pair of `pairs.covering()`; true objects that are not found have none.
    """
    outer = overlap(rims(true, distance), rims(pred, distance))
    covering, count = pairs.covering(), len(pairs.pred_ids)
    asked = pairs.rows[covering] * count + pairs.columns[covering]
    rows = np.searchsorted(pairs.true_ids, outer.true_ids)[outer.rows]
    columns = np.searchsorted(pairs.pred_ids, outer.pred_ids)[outer.columns]
    known = rows * count + columns
    places = np.searchsorted(known, asked)
    found = np.append(known, -1)[places] == asked
    return tuple(np.where(found, np.append(outer.iou, 0.0)[places], 0.0).tolist())


def rims(instances: np.ndarray, distance: int) -> np.ndarray:
    """The label image without the inside of its objects."""
    if instances.ndim == 2:
        inside = _inside(_as_int32(instances), int(distance))
    else:
        size = 2 * distance + 1
        # Inside an object all labels of the window are one; beyond the image they are background.
        lowest = ndimage.minimum_filter(instances, size, mode="constant", cval=0)
        highest = ndimage.maximum_filter(instances, size, mode="constant", cval=0)
        inside = lowest == highest
    return np.where(inside, 0, instances)


def _as_int32(instances: np.ndarray) -> np.ndarray:
    """The same objects, with new ids where theirs are too large."""
    if int(instances.max()) > np.iinfo(np.int32).max:
        ids, instances = ranks(instances)
        instances = instances + (ids[0] != 0)  # 0 is the background
    return np.ascontiguousarray(instances, np.int32)


@compiled
def _inside(labels, distance):  # pragma: no cover (compiled)
    """Pixels of a plane whose window, `distance` to each side, shows one object and nothing else.

    A part of a row is inside if `2 distance + 1` pixels are one object; so are columns, of such
    parts. `above` is the object whose parts end in the row above, `height` how many there are.
    """
    rows, columns = labels.shape
    width = 2 * distance + 1
    inside = np.zeros(labels.shape, np.bool_)
    above, height = np.zeros(columns, np.int32), np.zeros(columns, np.int64)
    for row in range(rows):
        length = 0
        for column in range(columns):
            label = labels[row, column]
            length = length + 1 if column > 0 and label == labels[row, column - 1] else 1
            centre = column - distance
            if centre < 0:
                continue
            part = label if length >= width else np.int32(0)
            height[centre] = height[centre] + 1 if part == above[centre] else 1
            above[centre] = part
            if part != 0 and height[centre] >= width:
                inside[row - distance, centre] = True
    return inside
