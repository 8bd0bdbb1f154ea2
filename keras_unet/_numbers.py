"""What every image must hold, whoever takes it."""

from __future__ import annotations

import numpy as np


def check_real(values: np.ndarray, what: str, largest: np.floating | None = None) -> None:
    """Raises a `ValueError` unless all values are real and finite.

    Args:
        values: An array.
        what: What messages call it.
        largest: Largest magnitude of floating-point values. Defaults to None, any finite one.
    """
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{what} must hold real numbers. Received: dtype={values.dtype}")
    if values.dtype.kind == "f":
        good = np.isfinite(values) if largest is None else np.abs(values) <= largest
        if not good.all():
            bad = int(values.size - good.sum())
            raise ValueError(
                f"{what} has {bad} NaN or infinite values; replace them first (np.nan_to_num)"
            )
