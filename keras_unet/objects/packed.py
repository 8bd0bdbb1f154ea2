"""The two nearest cells of every pixel of a plane, for short distances: many pixels at a time.

A processor works on sixteen small numbers at once as long as what it does next does not depend on
their values. So what is known of a cell is *one* number, `square << 16 | id`: the squared distance
to it above, its id below. The smaller of two such numbers is the nearer cell, and a minimum needs
no branch. That takes distances of at most `LONGEST_REACH` and ids of 16 bits; `distance.py` has the
same transform for all others.
"""

from __future__ import annotations

import math

import numpy as np

from keras_unet._compiled import compiled
from keras_unet.objects.instance_maps import dense_ids

MOST_IDS = 2**16 - 1

LONGEST_REACH = 105
"""So that three squared distances below it, and one more, fit into the 15 bits above the id."""

_ID = np.int32(MOST_IDS)  # the bits of the id
_STEP = np.int32(1 << 16)
_MOST = np.int32(2**31 - 1)
_BLOCK = 128
"""Columns that look around together, and stop together."""


def short_ids(labels: np.ndarray) -> np.ndarray | None:
    """The same cells with ids that fit; None if they are too many.

    Args:
        labels: Ids `(*spatial)`, int32; anything but 0 is an id, negative ones too.

    Returns:
        Ids in 0..`MOST_IDS`, int32; not a copy where they are already.
    """
    low, high = int(labels.min()), max(int(labels.max()), 0)
    if low >= 0 and high <= MOST_IDS:
        return labels
    if low < 0:
        return np.where(labels < 0, high - labels, labels) if high - low <= MOST_IDS else None
    dense, ids = dense_ids(labels)
    return dense.astype(np.int32) if len(ids) <= MOST_IDS + 1 else None


def packed_squares(
    labels: np.ndarray,
    wanted: np.ndarray,
    reach: float,
    far: int,
    sum_reach: float,
    first_reach: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances to the two nearest cells, as `two_nearest_squares` gives them.

    Args:
        labels: Ids `(rows, columns)`, int32, C-contiguous, 0..`MOST_IDS`.
        wanted: Boolean map; elsewhere the result is far.
        reach: Distances from here on are far; at most `LONGEST_REACH`.
        far: The square that says so.
        sum_reach: Pairs need only be right where first + second is below this.
        first_reach: First distances by themselves need only be right below this.

    Returns:
        `(first, second)`, int32.
    """
    steps = np.arange(math.ceil(reach) + 1.0)
    # With a first distance of d, cells at a distance of r leave d + r or more. Before half of
    # the sum's reach there are pixels that know no first cell yet.
    narrow = np.minimum(np.ceil((sum_reach - steps) ** 2) + 1, 2 * LONGEST_REACH**2)
    enough = np.where(2 * steps < sum_reach, _MOST, narrow * _STEP).astype(np.int32)
    first, second = np.empty_like(labels), np.empty_like(labels)
    alone = np.int32(math.ceil(min(first_reach, reach)))
    _two_nearest(labels, np.ascontiguousarray(wanted), enough, alone, np.int32(far), first, second)
    return first, second


@compiled
def _two_nearest(labels, wanted, enough, alone, far, first, second):  # pragma: no cover (compiled)
    """Down and up the columns, then along each row as soon as its columns are done.

    On the way `first` and `second` hold `distance << 16 | id` of the cells above, with `reach` as
    the distance and 0 as the id of none.
    """
    rows, columns = labels.shape
    reach = enough.size - 1
    nothing = np.int32(reach << 16)
    below1, below2 = np.full(columns, nothing), np.full(columns, nothing)
    above1, above2 = below1, below2
    for i in range(rows):
        _one_down(labels[i], above1, above2, first[i], second[i], nothing)
        above1, above2 = first[i], second[i]
    # what a column knows, with columns that know nothing on both sides
    nowhere = np.int32((2 * (reach - 1) ** 2 + 1) << 16)
    near1 = np.full(columns + 2 * reach, nowhere)
    near2 = np.full(columns + 2 * reach, nowhere)
    block1, block2 = np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.int32)
    for i in range(rows - 1, -1, -1):
        _one_up(first[i], second[i], below1, below2, nothing)
        _square(below1, near1[reach:], nothing, nowhere)
        _square(below2, near2[reach:], nothing, nowhere)
        for start in range(0, columns, _BLOCK):
            stop = min(start + _BLOCK, columns)
            size = stop - start
            _look_around(
                near1[start : stop + 2 * reach],
                near2[start : stop + 2 * reach],
                wanted[i, start:stop],
                enough,
                alone,
                block1[:size],
                block2[:size],
            )
            _unpack(block1[:size], far, first[i, start:stop])
            _unpack(block2[:size], far, second[i, start:stop])


@compiled
def _put(first, second, candidate):  # pragma: no cover
    """The two nearest cells of three, of which the first two are in order.

    7 A and 9 B, candidate 8 C: the larger of 7 A and 8 C, or 9 B if that is smaller, so 8 C is the
    new second. Candidate 8 A: the second stays, since A is already the first.
    """
    between = min(second, max(first, candidate))
    same = np.int32(candidate ^ first) & _ID == 0
    return min(first, candidate), second if same else between


@compiled
def _one_down(labels, above1, above2, here1, here2, nothing):  # pragma: no cover
    """What a row knows of itself and of the rows above."""
    for j in range(labels.size):
        first = min(np.int32(above1[j] + _STEP), nothing)
        second = min(np.int32(above2[j] + _STEP), nothing)
        label = labels[j]
        here1[j], here2[j] = _put(first, second, label if label != 0 else nothing)


@compiled
def _one_up(above1, above2, below1, below2, nothing):  # pragma: no cover
    """Replaces what the row below knows by what this row knows of both directions."""
    for j in range(above1.size):
        first, second = above1[j], above2[j]
        first, second = _put(first, second, min(np.int32(below1[j] + _STEP), nothing))
        first, second = _put(first, second, min(np.int32(below2[j] + _STEP), nothing))
        below1[j], below2[j] = first, second


@compiled
def _square(distances, squares, nothing, nowhere):  # pragma: no cover
    """From `distance << 16 | id` to `square << 16 | id`."""
    for j in range(distances.size):
        steps = np.int32(distances[j] >> 16)
        square = np.int32((steps * steps) << 16) | np.int32(distances[j] & _ID)
        squares[j] = square if distances[j] < nothing else nowhere


@compiled
def _look_around(near1, near2, wanted, enough, alone, block1, block2):  # pragma: no cover
    """Of the pixels of a block, their two nearest cells; 0 where none is wanted or needed.

    Column j of the block is column `reach + j` of `near1` and `near2`. At an offset of r, r * r is
    added to the squares that columns j - r and j + r know. 0 is a pixel that nothing can change.
    """
    reach = enough.size - 1
    several, some = _ids(near1, near2)
    for j in range(wanted.size):
        ask = wanted[j] and some
        block1[j] = near1[reach + j] if ask else 0
        block2[j] = near2[reach + j] if ask and several else 0
    for r in range(1, reach):
        # asked at every other offset: the answer costs a fifth of an offset
        if r % 2 == 1 and not _open(block1, block2, np.int32(r), enough[r], alone):
            break
        square = np.int32((r * r) << 16)
        left, right = reach - r, reach + r
        _offer(near1[left:], near2[left:], near1[right:], near2[right:], square, block1, block2)


@compiled
def _ids(near1, near2):  # pragma: no cover
    """Whether columns know more than one id together, and whether they know any."""
    second, low, high = np.int32(0), _STEP, np.int32(0)
    for j in range(near1.size):
        second |= np.int32(near2[j] & _ID)
        label = np.int32(near1[j] & _ID)
        high = max(high, label)
        low = min(low, label if label != 0 else _STEP)
    return second != 0 or low < high, high != 0


@compiled
def _open(block1, block2, r, enough, alone):  # pragma: no cover
    """Whether a cell at a distance of r or more can change a pixel of the block.

    That needs a second cell further away than r, and a first one so near that the pair counts, or
    a first one further away than r where it counts alone.
    """
    beyond = np.int32((r * r) << 16) | _ID
    alone_beyond = beyond if r < alone else _MOST
    most = np.int32(0)  # above 0: yes
    for j in range(block1.size):
        pair = min(np.int32(block2[j] - beyond), np.int32(enough - block1[j]))
        most = max(most, max(pair, np.int32(block1[j] - alone_beyond)))
    return most > 0


@compiled
def _offer(left1, left2, right1, right2, square, block1, block2):  # pragma: no cover
    """Puts the cells that columns on both sides know, `square` further away, to the block's."""
    for j in range(block1.size):
        first, second = block1[j], block2[j]
        first, second = _put(first, second, np.int32(left1[j] + square))
        first, second = _put(first, second, np.int32(left2[j] + square))
        first, second = _put(first, second, np.int32(right1[j] + square))
        first, second = _put(first, second, np.int32(right2[j] + square))
        block1[j], block2[j] = first, second


@compiled
def _unpack(packed, far, squares):  # pragma: no cover
    """The squares without ids; far where there is no id."""
    for j in range(packed.size):
        square = min(np.int32(packed[j] >> 16), far)
        squares[j] = square if packed[j] & _ID != 0 else far
