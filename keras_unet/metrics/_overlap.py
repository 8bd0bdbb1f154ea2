"""How the objects of two label images overlap, and the checks of such images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from keras_unet.objects.runs import runs

LabelImages = np.ndarray | Sequence[np.ndarray]

_HALF, _LOW = np.uint64(32), np.uint64(2**32 - 1)
"""A pair of ids is one number, the true one in the upper half: it sorts like the pair."""


@dataclass(frozen=True)
class Overlap:
    """Areas of objects and of their intersections, in pixels.

    Attributes:
        true_ids: Ids of the true objects, ascending.
        pred_ids: Ids of the predicted objects, ascending.
        true_areas: Area of each true object.
        pred_areas: Area of each predicted object.
        rows: Index into `true_ids` of each pair of objects that overlap.
        columns: Index into `pred_ids` of each pair.
        shared: Area of each pair's intersection.
    """

    true_ids: np.ndarray
    pred_ids: np.ndarray
    true_areas: np.ndarray
    pred_areas: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    shared: np.ndarray

    @cached_property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair."""
        union = self.true_areas[self.rows] + self.pred_areas[self.columns] - self.shared
        return self.shared / union

    @cached_property
    def of_true(self) -> np.ndarray:
        """Intersection over the area of the true object of each pair."""
        return self.shared / self.true_areas[self.rows]

    @cached_property
    def of_pred(self) -> np.ndarray:
        """Intersection over the area of the predicted object of each pair."""
        return self.shared / self.pred_areas[self.columns]

    def covering(self) -> np.ndarray:
        """Indices of the pairs whose intersection is more than half of the true object.

        A true object has at most one such pair; a predicted object may have several.
        """
        return np.flatnonzero(2 * self.shared > self.true_areas[self.rows])


def overlap(true: np.ndarray, pred: np.ndarray) -> Overlap:
    """Counts how the objects of two checked label images overlap; pairs are in order of ids."""
    starts, lengths = runs(true, pred)
    (true_names, upper), (pred_names, lower) = (
        _short(image.ravel()[starts]) for image in (true, pred)
    )
    keys, areas = _summed(upper << _HALF | lower, lengths)
    true_ids, rows, true_areas = _one_side(keys >> _HALF, areas, true_names)
    pred_ids, columns, pred_areas = _one_side(keys & _LOW, areas, pred_names)
    both = (true_ids[rows] != 0) & (pred_ids[columns] != 0)
    # ids ascend: if there is background, it is the first
    skip_true, skip_pred = (int(ids[0] == 0) for ids in (true_ids, pred_ids))
    return Overlap(
        true_ids=true_ids[skip_true:].astype(true.dtype),
        pred_ids=pred_ids[skip_pred:].astype(pred.dtype),
        true_areas=true_areas[skip_true:],
        pred_areas=pred_areas[skip_pred:],
        rows=rows[both] - skip_true,
        columns=columns[both] - skip_pred,
        shared=areas[both],
    )


def _short(ids: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Ids as uint64 below 2**32, and the names that they stand for, None for themselves."""
    names = None
    if int(ids.max()) > _LOW:
        names, ids = np.unique(ids, return_inverse=True)
    return names, ids.astype(np.uint64)


def _summed(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys, sorted, and the sum of each one's counts."""
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return keys[first], np.add.reduceat(counts[order], first)


def _one_side(
    ids: np.ndarray, areas: np.ndarray, names: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the ids of one image in pairs: which there are, the place of each, their areas."""
    distinct_ids, places = np.unique(ids, return_inverse=True)
    totals = np.zeros(len(distinct_ids), np.int64)
    np.add.at(totals, places, areas)
    return distinct_ids if names is None else names[distinct_ids], places, totals


def contingency(true: np.ndarray, pred: np.ndarray) -> sparse.csr_array:
    """Number of pixels of each pair of labels 0, 1, ..., as a sparse matrix."""
    starts, lengths = runs(true, pred)
    shape = (int(true.max(initial=0)) + 1, int(pred.max(initial=0)) + 1)
    pairs = (true.ravel()[starts], pred.ravel()[starts])
    return sparse.coo_array((lengths, pairs), shape=shape).tocsr()


def check_labels(image: np.ndarray, name: str) -> np.ndarray:
    """Checks one label image: whole numbers of 0 and above, at least one axis, not empty."""
    image = np.asarray(image)
    if image.ndim == 0 or image.size == 0:
        raise ValueError(f"{name} must be a label image. Received: {name}.shape={image.shape}")
    if not np.issubdtype(image.dtype, np.integer):
        raise ValueError(
            f"{name} must be a label image of integers, 0 = background and one id per object; "
            "label a mask by its connected components first. "
            f"Received: {name}.dtype={image.dtype}"
        )
    if image.min() < 0:
        raise ValueError(f"{name} must not have negative ids. Received: {image.min()}")
    return image


def check_pair(true: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks two label images of one shape."""
    true, pred = check_labels(true, "true"), check_labels(pred, "pred")
    if true.shape != pred.shape:
        raise ValueError(
            "true and pred must have one shape. "
            f"Received: true.shape={true.shape}, pred.shape={pred.shape}"
        )
    return true, pred


def image_pairs(true: LabelImages, pred: LabelImages) -> list[tuple[np.ndarray, np.ndarray]]:
    """Checks one pair of images (arrays), or several (lists or tuples of arrays)."""
    several = [isinstance(images, (list, tuple)) for images in (true, pred)]
    if several[0] != several[1]:
        raise ValueError(
            "true and pred must be two arrays or two lists of arrays. "
            f"Received: {type(true).__name__} and {type(pred).__name__}"
        )
    if not several[0]:
        true, pred = [true], [pred]  # type: ignore[list-item]
    if len(true) != len(pred) or len(true) == 0:
        raise ValueError(
            "true and pred must be lists of one length, with an image at least. "
            f"Received: {len(true)} and {len(pred)} images"
        )
    return [check_pair(*images) for images in zip(true, pred, strict=True)]


def overlaps(true: LabelImages, pred: LabelImages) -> Iterator[Overlap]:
    """The overlap of each pair of images."""
    return (overlap(*images) for images in image_pairs(true, pred))
