"""Components of a binary image, and the thinning of its borders by flooding."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from keras_unet._compiled import compiled

# States of a pixel that has no label yet; labels are > 0 and dams are 0.
_WAITING, _QUEUED, _OUTSIDE = -2, -3, -4


def components(image: np.ndarray) -> np.ndarray:
    """4-connected components of `image > 0`, numbered by their first pixel in row-major order.

    Args:
        image: `(H, W)`.

    Returns:
        int32 `(H, W)`, 0 = background.
    """
    return ndimage.label(np.asarray(image) > 0)[0].astype(np.int32, copy=False)


def thin_borders(image: np.ndarray) -> np.ndarray:
    """Grows the objects of a binary image over the membrane until they meet.

    The watershed of Vincent and Soille on two levels, with 4-connectivity: objects are flooded
    first, membrane next, in breadth-first order; where two objects meet a dam of membrane stays.
    Where dams lie depends on the order of the pixels: column by column, then left, up, right, down.

    Args:
        image: `(H, W)`, object where > 0, membrane elsewhere.

    Returns:
        int32 `(H, W)`: objects 1, 2, ... by their first pixel in column-major order, dams 0. An
        image without any object is one object.

    Reference:
        Vincent and Soille, "Watersheds in digital spaces", IEEE TPAMI 13, 1991,
        doi:10.1109/34.87344. Arganda-Carreras et al., "Crowdsourcing the creation of image
        segmentation algorithms for connectomics", Frontiers in Neuroanatomy 9, 2015,
        doi:10.3389/fnana.2015.00142.
    """
    cells = np.asarray(image).T > 0
    if not cells.any():
        return np.ones(cells.T.shape, dtype=np.int32)
    # Transposed, so that column-major order is the order in memory.
    labels = ndimage.label(cells)[0].astype(np.int32, copy=False)
    labels[~cells] = _WAITING
    labels = np.pad(labels, 1, constant_values=_OUTSIDE)
    _flood(labels.ravel(), labels.shape[1])
    return np.ascontiguousarray(labels[1:-1, 1:-1].T)


@compiled
def _flood(labels, stride):
    """Floods the waiting pixels of the flat, padded and transposed `labels` in place.

    A pixel leaves the queue with the state `own` and looks at its four sides, one after the other:

        side is      pixel has no label yet    pixel is a dam           pixel has a label
        a label      takes it                  takes it if beside_dam   becomes a dam if it differs
        a dam        becomes a dam             -                        -
        waiting      the side joins the queue, whatever the pixel is

    `beside_dam` tells why the last dam is one: True if it lay beside a dam, False if two labels met
    there. Only the first kind is given up again for a label that a later side has: of the sides
    `dam, 1` a waiting pixel makes 1, of `1, 2, 1` a dam. The challenge's own program keeps this
    mark for all pixels together, so a pixel may find it as an earlier one left it; the scores
    depend on that, so it stays so.
    """
    sides = np.array([-stride, -1, stride, 1], dtype=np.int64)  # left, up, right, down
    queue = np.empty(labels.size, dtype=np.int64)
    head, tail = 0, 0
    for pixel in range(labels.size):
        if labels[pixel] == _WAITING and (labels[pixel + sides] > 0).any():
            labels[pixel] = _QUEUED
            queue[tail] = pixel
            tail += 1
    beside_dam = False
    while head < tail:
        pixel = queue[head]
        head += 1
        for side in sides:
            own, other = labels[pixel], labels[pixel + side]
            if other > 0:
                if own == _QUEUED or (own == 0 and beside_dam):
                    labels[pixel] = other
                elif own > 0 and own != other:
                    labels[pixel] = 0
                    beside_dam = False
            elif other == 0:
                if own == _QUEUED:
                    labels[pixel] = 0
                    beside_dam = True
            elif other == _WAITING:
                labels[pixel + side] = _QUEUED
                queue[tail] = pixel + side
                tail += 1
