"""A gap of one pixel between cells that touch, and its inverse."""

from __future__ import annotations

import numpy as np

from keras_unet._compiled import compiled
from keras_unet.objects.instance_maps import as_instances, dense_ids
from keras_unet.objects.labelling import neighbourhood


def separate_touching(instances: np.ndarray, connectivity: int = 1) -> np.ndarray:
    """Carves a background gap of one pixel between instances that touch.

    Of two cells that touch, the one with the larger id gives the pixels at the contact to the
    background. So the gap is one pixel wide, the rule looks at neighbours only (a tile gets what
    the whole image gets, where it sees more than a sliver of each cell) and has no direction, and
    the parts that are left do not touch.

    No cell disappears: where one would (because it is a single pixel wide), it keeps its pixels and
    the cells around it give way instead. Only cells that lose all their pixels in both ways, such
    as neighbouring cells of a single pixel, stay as they are and touch.

    Args:
        instances: Integer ids `(*spatial)`, 0 = background.
        connectivity: Which neighbours touch: 1 is faces only, the rank is corners too; the same as
            in `connected_components`. Defaults to 1.

    Returns:
        A new instance image, int32, in which only background is new.

    Raises:
        ValueError: If `instances` is no instance image, or `connectivity` is not in 1..rank.

    Example:
        >>> separate_touching(np.array([[1, 1, 2, 2], [1, 1, 2, 2]]))
        array([[1, 1, 0, 2],
               [1, 1, 0, 2]], dtype=int32)
    """
    labels = as_instances(instances)
    pairs = _pairs(labels.ndim, connectivity)
    if labels.ndim == 2:
        carved = np.empty_like(labels)
        _carve(labels, connectivity == 2, carved)
        if _all_are_left(labels, carved):
            return carved
        lost = carved != labels
    else:
        lost = _losers(labels, labels, pairs)
    if not lost.any():
        return labels.copy()
    dense, ids = dense_ids(labels)
    thin = _vanished(dense, lost, len(ids))
    if thin.any():
        order = np.argsort(~thin, kind="stable")  # thin cells first, both kinds in order of ids
        place = np.argsort(order)  # of every id in that order
        lost = _losers(labels, place[dense], pairs)
        lost &= ~_vanished(dense, lost, len(ids))[dense]
    return np.where(lost, 0, labels)


def close_gaps(instances: np.ndarray) -> np.ndarray:
    """Gives background of one pixel's width between two cells back to one of them.

    A background pixel with different cells among its face neighbours goes to the largest id of
    them. That undoes `separate_touching` (but for a few pixels, such as where three cells meet)
    while ids have their order; otherwise some gaps go to the other side. Wider gaps and the rest of
    the outline stay as they are.

    Args:
        instances: Integer ids `(*spatial)`, 0 = background.

    Returns:
        A new instance image, int32.

    Raises:
        ValueError: If `instances` is no instance image.

    Example:
        >>> close_gaps(np.array([[1, 1, 0, 2, 0, 0, 3]]))
        array([[1, 1, 2, 2, 0, 0, 3]], dtype=int32)
    """
    labels = as_instances(instances)
    largest, smallest = np.zeros_like(labels), np.full_like(labels, np.iinfo(np.int32).max)
    for pair in _pairs(labels.ndim, connectivity=1):
        for here, there in (pair, pair[::-1]):
            near = labels[there]
            largest[here] = np.maximum(largest[here], near)
            smallest[here] = np.where(near == 0, smallest[here], np.minimum(smallest[here], near))
    return np.where((labels == 0) & (smallest < largest), largest, labels)


@compiled
def _carve(labels, corners, carved):  # pragma: no cover (compiled)
    """Instances without the pixels beside a smaller id."""
    rows, columns = labels.shape
    # three lines of the image, each with background on both sides
    lines = np.zeros((3, columns + 2), np.int32)
    above, here, below = lines[0], lines[1], lines[2]
    below[1:-1] = labels[0]
    for i in range(rows):
        above, here, below = here, below, above
        for j in range(columns):
            below[j + 1] = labels[i + 1, j] if i + 1 < rows else 0
        for j in range(columns):
            label = here[j + 1]
            lost = _before(above[j + 1], label) | _before(below[j + 1], label)
            lost |= _before(here[j], label) | _before(here[j + 2], label)
            if corners:
                lost |= _before(above[j], label) | _before(above[j + 2], label)
                lost |= _before(below[j], label) | _before(below[j + 2], label)
            carved[i, j] = 0 if lost else label


@compiled
def _before(neighbour, label):  # pragma: no cover
    """Whether a neighbour is of a cell with a smaller id: background, 0, becomes the largest."""
    return np.uint32(neighbour - 1) < np.uint32(label - 1)


def _all_are_left(labels: np.ndarray, carved: np.ndarray) -> bool:
    """Whether every id has a pixel left; False also where ids are too large to count them."""
    highest = int(labels.max())
    return highest < 4 * labels.size and bool(_none_is_lost(labels, carved, highest))


@compiled
def _none_is_lost(labels, carved, highest):  # pragma: no cover
    """Whether all ids of `labels`, up to the highest, are in `carved`."""
    left = np.zeros(highest + 1, np.bool_)
    for i in range(labels.shape[0]):
        before = np.int32(0)
        for label in carved[i]:
            if label != before:  # once a run
                left[label] = True
                before = label
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            if carved[i, j] != labels[i, j] and not left[labels[i, j]]:
                return False
    return True


Box = tuple[slice, ...]


def _pairs(rank: int, connectivity: int) -> list[tuple[Box, Box]]:
    """Slices that lay every pixel beside its neighbours, each pair of pixels once."""
    cuts = {-1: (slice(None, -1), slice(1, None)), 0: (slice(None),) * 2}
    cuts[1] = cuts[-1][::-1]
    offsets = np.argwhere(neighbourhood(rank, connectivity)) - 1
    pairs = []
    for offset in offsets[: len(offsets) // 2]:  # sorted: the first half comes before (0, ...)
        before, after = zip(*(cuts[int(step)] for step in offset), strict=True)
        pairs.append((before, after))
    return pairs


def _losers(labels: np.ndarray, place: np.ndarray, pairs: list[tuple[Box, Box]]) -> np.ndarray:
    """Pixels that touch a cell whose `place` (that of every pixel's cell) is before their own."""
    lost = np.zeros(labels.shape, bool)
    for before, after in pairs:
        one, other = labels[before], labels[after]
        touch = (one != other) & (one != 0) & (other != 0)
        lost[before] |= touch & (place[before] > place[after])
        lost[after] |= touch & (place[after] > place[before])
    return lost


def _vanished(dense: np.ndarray, lost: np.ndarray, count: int) -> np.ndarray:
    """Which of the dense ids have no pixel left, boolean `(count,)`."""
    left = np.zeros(count, bool)
    left[0] = True  # the background
    left[dense[~lost]] = True
    return ~left
