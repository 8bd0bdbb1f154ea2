"""Measures of the ISBI 2012 challenge (segmentation of neuronal membranes), as it computed them.

The positive class is the *cell interior*: labels are 1 in cells and 0 on membrane, proposals are
the probability of cell. Images are 2-D; a stack is evaluated slice by slice. Each measure is the
best over thresholds 0.0, 0.1, ... unless a `threshold` is given, and a pixel is a cell where its
float32 probability is strictly above the threshold.

`evaluate` gives all five numbers with their tables; `v_rand` and `v_info` are those of the
challenge's final ranking, the other three those of its first one. The steps between (components,
thinning, warping, overlaps of segments) are public too.

Reference:
    Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for
    connectomics", Frontiers in Neuroanatomy 9:142, 2015, doi:10.3389/fnana.2015.00142.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from keras_unet._arguments import check_one_of
from keras_unet.metrics._evaluation import (
    MISMATCH_COLORS as MISMATCH_COLORS,
    Evaluation as Evaluation,
    best_score,
    evaluate as evaluate,
    mismatch_picture as mismatch_picture,
)
from keras_unet.metrics._rand import (
    Confusion,
    Information as Information,
    all_pairs,
    foreground_index_error as foreground_index_error,
    foreground_overlaps,
    foreground_pairs,
    information,
    pixel_confusion,
    total,
)
from keras_unet.metrics._slices import (
    THRESHOLDS,
    WARPING_THRESHOLDS,
    above,
    check_images,
    choose_thresholds,
    score_slices,
)
from keras_unet.metrics._thinning import components, thin_borders
from keras_unet.metrics._warping import (
    SPLITS_AND_MERGERS,
    Mismatch,
    count_mismatches,
    homotopic_warping,
    mismatch_classes,
    simple_point_table as simple_point_table,
)

T = TypeVar("T")


def pixel_error(
    labels: np.ndarray,
    proposals: np.ndarray,
    *,
    threshold: float | None = None,
    kind: str = "f_score",
) -> float:
    """Pixel error: one minus the best F-score of cell pixels over thresholds, 0 = perfect.

    Args:
        labels: `(H, W)` or `(Z, H, W)`: boolean, or numbers 0 (membrane) and 1 or 255 (cell).
        proposals: Same shape, boolean, or float probability of cell in [0, 1] (used as float32).
        threshold: One threshold instead of the sweep. Defaults to None: 0.0, 0.1, ... 1.0, or only
            0.0 if the proposals are binary.
        kind: "f_score" counts pixels over all slices; "difference" is the share of wrong pixels,
            the smallest over thresholds. Defaults to "f_score", as the challenge does.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: If shapes differ, a label is not binary, or a proposal is an integer, NaN or
            outside [0, 1].

    Example:
        >>> label = np.array([[1, 0, 1], [1, 0, 1]])
        >>> pixel_error(label, np.where(label, 0.8, 0.3))
        0.0
    """
    check_one_of("kind", kind, ("f_score", "difference"))
    rows = _sweep(pixel_confusion, labels, proposals, threshold)
    totals = [total(row) for row in rows]
    if kind == "difference":
        return min((counts.fp + counts.fn) / np.size(labels) for counts in totals)
    return 1.0 - max(counts.f_score for counts in totals)


def _sweep(
    score: Callable[[np.ndarray, np.ndarray], T],
    labels: np.ndarray,
    proposals: np.ndarray,
    threshold: float | None,
) -> list[list[T]]:
    """`score(label, cells)` of every slice, a list for each threshold."""
    labels, proposals = check_images(labels, proposals)
    cuts = choose_thresholds(proposals, threshold, THRESHOLDS)

    def score_cells(cut: float, label: np.ndarray, proposal: np.ndarray) -> T:
        return score(label, above(proposal, cut))

    return score_slices(score_cells, cuts, labels, proposals)


def rand_error(
    labels: np.ndarray,
    proposals: np.ndarray,
    *,
    threshold: float | None = None,
    foreground_restricted: bool = True,
) -> float:
    """Rand error: one minus the best F-score of pairs of pixels over thresholds, 0 = perfect.

    Segments are 4-connected components; pairs are counted over all slices.

    Args:
        labels: As in `pixel_error`.
        proposals: As in `pixel_error`.
        threshold: As in `pixel_error`.
        foreground_restricted: True looks only at pixels inside the cells of the truth, where each
            pixel that the proposal calls membrane is a segment of its own, and counts n squared
            pairs. False looks at all pixels, background being one more segment, and counts
            n (n - 1) / 2 pairs. Defaults to True, as the challenge does.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: As in `pixel_error`.

    Reference:
        Rand, "Objective criteria for the evaluation of clustering methods", Journal of the
        American Statistical Association 66, 1971, doi:10.2307/2284239.
    """
    rows = _sweep(
        _count_pairs if foreground_restricted else _count_all_pairs, labels, proposals, threshold
    )
    return 1.0 - max(total(row).f_score for row in rows)


def _count_pairs(label: np.ndarray, cells: np.ndarray) -> Confusion:
    return foreground_pairs(foreground_overlaps(components(label), components(cells)))


def _count_thinned_pairs(label: np.ndarray, cells: np.ndarray) -> Confusion:
    return foreground_pairs(foreground_overlaps(components(label), thin_borders(cells)))


def _count_all_pairs(label: np.ndarray, cells: np.ndarray) -> Confusion:
    return all_pairs(components(label), components(cells))


def warping_error(
    labels: np.ndarray,
    proposals: np.ndarray,
    *,
    threshold: float | None = None,
    classes: Mismatch = SPLITS_AND_MERGERS,
    by_error: bool = False,
    radius: int = 20,
    mask: np.ndarray | None = None,
) -> float:
    """Warping error: the share of pixels in splits and mergers, smallest over thresholds.

    The label is warped towards the proposal without changing its topology (`homotopic_warping`);
    what still differs is an error of topology, and is named by `mismatch_classes`. A membrane that
    is thicker, thinner or off by one pixel costs nothing.

    Args:
        labels: As in `pixel_error`.
        proposals: As in `pixel_error`.
        threshold: One threshold instead of the sweep. Defaults to None: 0.0, 0.1, ... 0.9, or only
            0.0 if the proposals are binary.
        classes: Mismatches that count; `~Mismatch(0)` is all six. Defaults to
            `Mismatch.MERGE | Mismatch.SPLIT`, as the challenge does.
        by_error: True counts connected clusters of pixels instead of pixels. Defaults to False, as
            the challenge does.
        radius: Half width in pixels of the window in which a split is told from a filled hole;
            0 for the whole image. Defaults to 20, as the challenge does.
        mask: Same shape, only pixels with a non-zero value may be warped and counted. Defaults to
            None, all.

    Returns:
        The number of counted pixels or clusters over the number of all pixels, mask or not.

    Raises:
        ValueError: As in `pixel_error`; also if the shape of the mask differs.

    Reference:
        Jain et al., "Boundary learning by optimization with topological constraints", CVPR 2010,
        doi:10.1109/CVPR.2010.5539950.
    """
    labels, proposals = check_images(labels, proposals)
    masks = [None] * len(labels) if mask is None else _mask_slices(mask, labels)

    def count(cut: float, label: np.ndarray, proposal: np.ndarray, mask: np.ndarray | None) -> int:
        warped = homotopic_warping(label, proposal, cut, mask)
        errors = mismatch_classes(warped, proposal, cut, radius, mask)
        counts = count_mismatches(errors, warped, by_error)
        return sum(number for kind, number in counts.items() if kind & classes)

    cuts = choose_thresholds(proposals, threshold, WARPING_THRESHOLDS)
    rows = score_slices(count, cuts, labels, proposals, masks)
    return min(sum(row) for row in rows) / labels.size


def _mask_slices(mask: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    mask = np.asarray(mask)
    if mask.shape[-2:] != labels.shape[1:] or mask.size != labels.size:
        raise ValueError(
            f"mask must have the shape of the labels. Received: mask.shape={mask.shape}"
        )
    return list(mask.reshape(labels.shape))


def v_rand(
    labels: np.ndarray,
    proposals: np.ndarray,
    *,
    threshold: float | None = None,
    thinning: bool = True,
    average: str = "macro",
) -> float:
    """V_Rand: the best foreground-restricted Rand F-score over thresholds, 1 = perfect.

    Args:
        labels: As in `pixel_error`.
        proposals: As in `pixel_error`.
        threshold: As in `pixel_error`.
        thinning: Whether the proposal's cells first grow until thin borders remain
            (`thin_borders`). Defaults to True, as the challenge does.
        average: "macro" is the mean of the slices' scores, "micro" counts pairs over all slices.
            Defaults to "macro", as the challenge does.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: As in `pixel_error`; also if `average` is neither of both.
    """
    check_one_of("average", average, ("macro", "micro"))
    count = _count_thinned_pairs if thinning else _count_pairs
    rows = _sweep(count, labels, proposals, threshold)
    if average == "micro":
        return max(total(row).f_score for row in rows)
    return max(float(np.mean([counts.f_score for counts in row])) for row in rows)


def v_info(
    labels: np.ndarray,
    proposals: np.ndarray,
    *,
    threshold: float | None = None,
    thinning: bool = True,
) -> float:
    """V_Info: the best information F-score over thresholds, averaged over slices, 1 = perfect.

    The mutual information of truth and proposal over the mean of their entropies, with the same
    restriction to cells as `v_rand`. A slice whose truth is a single cell scores 0.

    Args:
        labels: As in `pixel_error`.
        proposals: As in `pixel_error`.
        threshold: As in `pixel_error`.
        thinning: As in `v_rand`.

    Returns:
        A number in [0, 1]; thresholds with an undefined slice are passed over, and 0 if all are.

    Raises:
        ValueError: As in `pixel_error`.
    """
    segment = thin_borders if thinning else components

    def score(label: np.ndarray, cells: np.ndarray) -> float:
        return information(foreground_overlaps(components(label), segment(cells))).f_score

    rows = _sweep(score, labels, proposals, threshold)
    return best_score([np.mean(row) for row in rows])[0]
