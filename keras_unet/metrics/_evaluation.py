"""All ISBI 2012 measures of a stack in one pass, with their tables and a picture of the errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from keras_unet.metrics import _rand, _slices, _thinning, _warping
from keras_unet.metrics._warping import SPLITS_AND_MERGERS, Mismatch

ERRORS = ("pixel_error", "rand_error", "warping_error")
SCORES = ("v_rand", "v_info")

MISMATCH_COLORS = {
    Mismatch.MERGE: (228, 26, 28),
    Mismatch.SPLIT: (55, 126, 255),
    Mismatch.HOLE_ADDITION: (0, 200, 200),
    Mismatch.OBJECT_DELETION: (200, 60, 200),
    Mismatch.OBJECT_ADDITION: (60, 180, 60),
    Mismatch.HOLE_DELETION: (255, 190, 0),
}
"""RGB of each class in `mismatch_picture`: red for mergers, blue for splits."""


@dataclass(frozen=True)
class Evaluation:
    """The five numbers of the challenge, and what they were made of.

    Attributes:
        pixel_error: One minus the best pixel F-score, 0 = perfect.
        rand_error: One minus the best foreground-restricted Rand F-score, 0 = perfect.
        warping_error: Smallest share of pixels in splits and mergers, 0 = perfect.
        v_rand: Best Rand F-score after border thinning, mean over slices, 1 = perfect.
        v_info: Best information F-score after border thinning, mean over slices, 1 = perfect.
        thresholds: The T thresholds that were tried.
        best_threshold: The threshold behind each of the five numbers.
        per_threshold: Each measure over the stack at each threshold, `(T,)` float64.
        per_slice: Each measure of each slice alone at each threshold, `(Z, T)` float64.
        mismatches: Number of pixels of each mismatch class, by its name in lower case, of each
            slice at each threshold, `(Z, T)` int64.
    """

    pixel_error: float
    rand_error: float
    warping_error: float
    v_rand: float
    v_info: float
    thresholds: tuple[float, ...]
    best_threshold: dict[str, float]
    per_threshold: dict[str, np.ndarray] = field(repr=False)
    per_slice: dict[str, np.ndarray] = field(repr=False)
    mismatches: dict[str, np.ndarray] = field(repr=False)
    _labels: np.ndarray = field(repr=False)
    _proposals: np.ndarray = field(repr=False)

    def headline(self) -> dict[str, float]:
        """The five numbers by name."""
        return {name: getattr(self, name) for name in ERRORS + SCORES}

    def threshold_table(self) -> list[dict[str, float]]:
        """One row per threshold: the threshold and the five measures over the stack."""
        return [
            {"threshold": threshold}
            | {name: float(values[index]) for name, values in self.per_threshold.items()}
            for index, threshold in enumerate(self.thresholds)
        ]

    def slice_table(self) -> list[dict[str, float]]:
        """One row per slice: its index and five measures, each at the stack's best threshold."""
        best = {n: self.thresholds.index(value) for n, value in self.best_threshold.items()}
        return [
            {"slice": index}
            | {name: float(values[index, best[name]]) for name, values in self.per_slice.items()}
            for index in range(len(self._labels))
        ]

    def mismatch_picture(self, index: int = 0, threshold: float | None = None) -> np.ndarray:
        """Shows where a slice has which error of topology.

        Args:
            index: Which slice. Defaults to 0.
            threshold: Defaults to None, the best one for the warping error.

        Returns:
            uint8 RGB `(H, W, 3)`, see `mismatch_picture`.
        """
        if threshold is None:
            threshold = self.best_threshold["warping_error"]
        return mismatch_picture(self._labels[index], self._proposals[index], threshold)


def evaluate(labels: np.ndarray, proposals: np.ndarray) -> Evaluation:
    """Computes all five measures of the ISBI 2012 challenge in one pass.

    Args:
        labels: `(H, W)` or `(Z, H, W)`: boolean, or numbers 0 (membrane) and 1 or 255 (cell).
        proposals: Same shape, boolean, or float probability of cell in [0, 1] (used as float32).

    Returns:
        An `Evaluation`. Binary proposals are tried at the threshold 0.0 only.

    Raises:
        ValueError: If shapes differ, a label is not binary, or a proposal is an integer, NaN or
            outside [0, 1].

    Example:
        >>> label = np.ones((20, 30), dtype=np.uint8)
        >>> label[:, 15] = 0
        >>> evaluate(label, label.astype("float32")).headline()
        {'pixel_error': 0.0, 'rand_error': 0.0, 'warping_error': 0.0, 'v_rand': 1.0, 'v_info': 1.0}

    Reference:
        Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for
        connectomics", Frontiers in Neuroanatomy 9:142, 2015, doi:10.3389/fnana.2015.00142.
    """
    labels, proposals = _slices.check_images(labels, proposals)
    thresholds = _slices.choose_thresholds(proposals, None, _slices.THRESHOLDS)
    truths = [_thinning.components(label) for label in labels]
    rows = _slices.score_slices(_score, thresholds, truths, proposals)
    per_slice = {
        name: np.array([[score.measure(name) for score in row] for row in rows]).T
        for name in ERRORS + SCORES
    }
    per_threshold = {
        "pixel_error": np.array([1.0 - _rand.total(s.pixels for s in row).f_score for row in rows]),
        "rand_error": np.array([1.0 - _rand.total(s.pairs for s in row).f_score for row in rows]),
    }
    for name in ("warping_error", *SCORES):
        per_threshold[name] = per_slice[name].mean(axis=0)
    best = {name: _best(name, values) for name, values in per_threshold.items()}
    return Evaluation(
        **{name: value for name, (value, _) in best.items()},
        thresholds=thresholds,
        best_threshold={name: thresholds[index] for name, (_, index) in best.items()},
        per_threshold=per_threshold,
        per_slice=per_slice,
        mismatches={
            (kind.name or "").lower(): np.array([[s.mismatches[kind] for s in r] for r in rows]).T
            for kind in Mismatch
        },
        _labels=labels,
        _proposals=proposals,
    )


class _Score(NamedTuple):
    """Everything about one slice at one threshold."""

    pixels: _rand.Confusion
    pairs: _rand.Confusion
    thinned_pairs: _rand.Confusion
    v_info: float
    mismatches: dict[Mismatch, int]
    size: int

    def measure(self, name: str) -> float:
        if name == "pixel_error":
            return 1.0 - self.pixels.f_score
        if name == "rand_error":
            return 1.0 - self.pairs.f_score
        if name == "warping_error":
            wrong = sum(n for kind, n in self.mismatches.items() if kind & SPLITS_AND_MERGERS)
            return wrong / self.size
        return self.thinned_pairs.f_score if name == "v_rand" else self.v_info


def _score(threshold: float, truth: np.ndarray, proposal: np.ndarray) -> _Score:
    cells = _slices.above(proposal, threshold)
    warped = _warping.homotopic_warping(truth, proposal, threshold)
    errors = _warping.mismatch_classes(warped, proposal, threshold)
    thinned = _rand.foreground_overlaps(truth, _thinning.thin_borders(cells))
    return _Score(
        pixels=_rand.pixel_confusion(truth > 0, cells),
        pairs=_rand.foreground_pairs(_rand.foreground_overlaps(truth, _thinning.components(cells))),
        thinned_pairs=_rand.foreground_pairs(thinned),
        v_info=_rand.information(thinned).f_score,
        mismatches=_warping.count_mismatches(errors, warped),
        size=truth.size,
    )


def _best(name: str, values: np.ndarray) -> tuple[float, int]:
    """The challenge's choice among thresholds, and its index."""
    if name in SCORES:
        return best_score(values)
    if name == "warping_error":
        values = values[: len(_slices.WARPING_THRESHOLDS)]
    index = int(np.argmin(values))
    return float(values[index]), index


def best_score(values: Any) -> tuple[float, int]:
    """The largest of scores and its index; undefined or negative ones count as 0."""
    values = np.fmax(values, 0.0)
    index = int(np.argmax(values))
    return float(values[index]), index


def mismatch_picture(
    label: np.ndarray, proposal: np.ndarray, threshold: float, radius: int = 20
) -> np.ndarray:
    """Paints the mismatches of a slice over its proposal.

    Args:
        label: `(H, W)`, cell where > 0.
        proposal: `(H, W)` float, probability of cell in [0, 1].
        threshold: A pixel is a cell where it is strictly above it.
        radius: As in `mismatch_classes`. Defaults to 20.

    Returns:
        uint8 RGB `(H, W, 3)`: the proposal in grey, mismatches in their `MISMATCH_COLORS`.
    """
    warped = _warping.homotopic_warping(label, proposal, threshold)
    classes = _warping.mismatch_classes(warped, proposal, threshold, radius)
    grey = np.rint(np.asarray(proposal, dtype=np.float32) * 255).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, axis=-1)
    for kind, color in MISMATCH_COLORS.items():
        picture[classes == kind] = color
    return picture
