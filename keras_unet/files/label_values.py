"""Stored numbers as labels: whole, within 32 bits, or an error that shows the offenders."""

from __future__ import annotations

import os

import numpy as np

from keras_unet.errors import UsageError, listed

SHOWN = 5
KNOWN = np.iinfo(np.int32)


def as_labels(
    path: str | os.PathLike[str],
    values: np.ndarray,
    step: float = 0.0,
    negative: bool = False,
    renumber: bool = False,
) -> np.ndarray:
    """The values as int32.

    Args:
        path: The file, for messages.
        values: What it holds.
        step: How far a value may lie from the whole number that it means. Defaults to 0.
        negative: Whether values below 0 are taken. Defaults to False.
        renumber: Whether ids beyond 2**31-1 become 1..N in order. Defaults to False: they are
            refused.

    Raises:
        ValueError: If a value is no label.

    Example:
        >>> as_labels("a.nii", np.array([0, 1.0000153, 2.0000305]), step=1e-4)
        array([0, 1, 2], dtype=int32)
        >>> as_labels("a.tif", np.array([0, 2**40, 2**33]), renumber=True)
        array([0, 2, 1], dtype=int32)
    """
    if values.dtype.kind == "f":
        whole = np.rint(values)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            broken = values[~(np.abs(values - whole) <= step)]
        if broken.size:
            raise UsageError(
                f"{path} must hold whole numbers as labels, it holds {_some(broken)}",
                "save them as whole numbers",
            )
        values = whole
    elif values.dtype.kind == "c":
        raise ValueError(f"{path} must hold real numbers. Received: dtype={values.dtype}")
    low, high = values.min(), values.max()
    if low < (KNOWN.min if negative else 0):
        raise ValueError(f"{path} must hold labels from 0 on. Received: {low}..{high}")
    if high <= KNOWN.max:
        return values.astype(np.int32)
    if not renumber:
        raise UsageError(
            f"{path} must hold labels in 0..2**31-1, it holds {low}..{high}",
            "with kind='instances' ids of objects are numbered anew",
            "with --kind instances ids of objects are numbered anew",
        )
    objects = values > 0
    labels = np.where(objects, 0, values).astype(np.int32)
    labels[objects] = 1 + np.searchsorted(np.unique(values[objects]), values[objects])
    return labels


def _some(values: np.ndarray) -> str:
    """The first few different values, in order."""
    seen = np.unique(values)
    return listed((f"{value:.7g}" for value in seen[: SHOWN + 1]), most=SHOWN)
