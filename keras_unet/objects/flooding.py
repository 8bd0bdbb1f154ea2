"""Meyer's flooding: the lowest waiting pixel first, of equal ones the longest waiting.

Two ways that give the same ids. `flood_disputed` is for float32 heights, given as their bits: in it
a pixel and its turn are one integer, and fewer pixels wait. `flood` is for float64. All that is
compiled stands in this file, because numba's cache minds no changes of others.

Pixels have a rim of one pixel outside the mask, which spares every test for the image's border.
"""

from __future__ import annotations

import heapq

import numpy as np

from keras_unet._compiled import compiled

OUTSIDE = -1
"""In place of an id, or of a height: not in the mask."""

SEVERAL = -1
"""In place of the one id of the seeds in a part of the mask."""

_HALF, _AGE = np.uint64(32), np.uint64(2**32 - 1)


@compiled
def flood(heights, ids, steps):  # pragma: no cover (compiled)
    """Gives every pixel whose id is 0 the id that reaches it first.

    Args:
        heights: Float64 `(P,)`.
        ids: Int32 `(P,)`: of seeds, 0, or `OUTSIDE`; they change.
        steps: From a pixel to its neighbours, int64.
    """
    waiting = [(0.0, np.int64(0), np.int64(0)) for _ in range(0)]
    for seed in range(ids.size):
        if ids[seed] > 0:
            waiting.append((heights[seed], np.int64(len(waiting)), np.int64(seed)))
    age = len(waiting)
    heapq.heapify(waiting)
    while len(waiting) > 0:
        level, _, pixel = heapq.heappop(waiting)
        for step in steps:
            other = pixel + step
            if ids[other] == 0:
                ids[other] = ids[pixel]
                rise = max(level, heights[other])
                heapq.heappush(waiting, (rise, np.int64(age), np.int64(other)))
                age += 1


@compiled
def flood_disputed(
    parts, seeds, owners, bits, instances, state, rows, steps, disputed
):  # pragma: no cover
    """Every pixel gets its part's owner, those of parts with several seeds are flooded."""
    columns = parts.size // rows.size
    keys, count = np.empty((2, disputed), np.int64), 0
    for row in range(rows.size):
        for column in range(columns):
            pixel, place = row * columns + column, rows[row] + column
            owner = owners[parts[pixel]]
            instances[pixel] = owner
            if owner != SEVERAL:
                continue
            state[place] = _key(bits[pixel])
            if seeds[pixel] > 0:
                keys[0, count], keys[1, count] = place, state[place]
                state[place] = OUTSIDE - seeds[pixel]
                count += 1
    _flood_by_keys(state, keys[:, :count], steps, disputed)
    for row in range(rows.size):
        for column in range(columns):
            pixel = row * columns + column
            if instances[pixel] == SEVERAL:
                instances[pixel] = OUTSIDE - state[rows[row] + column]


@compiled
def _flood_by_keys(state, keys, steps, most):  # pragma: no cover
    """The same, in the same order, where fewer pixels wait, and most of them in no order.

    A pixel's state is its key while it is dry, and `OUTSIDE - id` when it is wet, so that a look at
    a neighbour tells whether and how high it is.

    * A pixel all of whose neighbours are wet would do nothing in its turn: it does not wait.
    * `key << 32 | age` is one integer that sorts like (height, age); the age is also where
      `pixels` has the pixel.
    * A pixel that is not above the present level joins a `line`, first come, first served. Those
      in the heap that are at this level came before the water did, so they go first.
    * The first pixel that comes to wait takes the place of the one whose turn it is.

    Args:
        state: Int64 `(P,)`: key of a dry pixel, `OUTSIDE - id` of a seed, else `OUTSIDE`; changes.
        keys: Int64 `(2, S)`: index of each seed pixel, in order, and its key.
        steps: From a pixel to its neighbours, int64.
        most: Number of pixels that can come to wait.
    """
    heap, pixels = np.empty(most, np.uint64), np.empty(most, np.int32)
    line = np.empty(most, np.int32)
    size, age, first, last, level = 0, 0, 0, 0, np.int64(-1)
    for seed in range(keys.shape[1]):
        if _can_flow(keys[0, seed], state, steps):
            pixels[age] = keys[0, seed]
            _rise(heap, size, np.uint64(keys[1, seed]) << _HALF | np.uint64(age))
            size, age = size + 1, age + 1
    while size > 0 or first < last:
        taken = first == last or (size > 0 and np.int64(heap[0] >> _HALF) == level)
        if taken:  # it stays in the heap until another one takes its place
            level, pixel = np.int64(heap[0] >> _HALF), np.int64(pixels[np.int64(heap[0] & _AGE)])
        else:
            pixel = np.int64(line[first])
            first += 1
        for step in steps:
            other = pixel + step
            key = state[other]
            if key < 0:
                continue
            state[other] = state[pixel]
            if not _can_flow(other, state, steps):
                continue
            if key <= level:
                line[last] = other
                last += 1
                continue
            pixels[age] = other
            entry = np.uint64(key) << _HALF | np.uint64(age)
            age += 1
            if taken:
                taken = False
                _sink(heap, size, entry)
            else:
                _rise(heap, size, entry)
                size += 1
        if taken:
            size -= 1
            _sink(heap, size, heap[size])


@compiled
def _can_flow(pixel, state, steps):  # pragma: no cover
    """Whether a neighbour is dry."""
    dry = False
    for step in steps:
        dry |= state[pixel + step] >= 0
    return dry


@compiled
def _rise(heap, hole, entry):  # pragma: no cover
    """Puts an entry into a heap in which everything has four things below it that are larger."""
    while hole > 0:
        above = (hole - 1) >> 2
        if heap[above] <= entry:
            break
        heap[hole] = heap[above]
        hole = above
    heap[hole] = entry


@compiled
def _sink(heap, size, entry):  # pragma: no cover
    """Puts an entry into the heap in place of its smallest."""
    hole = 0
    while 4 * hole + 1 < size:
        child = 4 * hole + 1
        if child + 3 < size:  # without a branch, which could not be foretold
            left, right = min(heap[child], heap[child + 1]), min(heap[child + 2], heap[child + 3])
            least = min(left, right)
            child += 2 if right < left else 0
            child += 1 if heap[child] != least else 0
        else:
            for other in range(child + 1, size):
                child = other if heap[other] < heap[child] else child
            least = heap[child]
        if least >= entry:
            break
        heap[hole] = least
        hole = child
    heap[hole] = entry


@compiled
def _key(bits):  # pragma: no cover
    """An integer of 32 bits that sorts like the float32 of these bits.

    Floats of one sign sort like their bits, negative ones the wrong way round; -0.0 is 0.0.
    """
    if bits >= 0:
        return np.int64(bits) + 2**31
    if bits == -(2**31):
        return np.int64(2**31)
    return np.int64(-1) - bits
