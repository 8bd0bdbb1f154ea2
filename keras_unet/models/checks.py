"""Checks of the arguments that architectures share; every message names value and way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def check_input_shape(input_shape: Any) -> tuple[int | None, ...]:
    """The shape `(*spatial, channels)` as a tuple, or a `ValueError` that says what is wrong."""
    shape = tuple(input_shape)
    known = [size for size in shape[:-1] if size is not None] + list(shape[-1:])
    if not 2 <= len(shape) <= 4 or any(not isinstance(n, int) or n < 1 for n in known):
        raise ValueError(
            "input_shape must be 1 to 3 spatial sizes (None for any) and the number of channels, "
            f"such as (None, None, 1). Received: input_shape={input_shape}"
        )
    return shape


def check_positive(**values: Any) -> None:
    """Raises a `ValueError` for a value that is no positive integer."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer. Received: {name}={value}")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raises a `ValueError` for a value that is not among the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {tuple(choices)}. Received: {name}={value!r}")


def check_rate(name: str, value: float) -> None:
    """Raises a `ValueError` for a rate outside [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1). Received: {name}={value}")
