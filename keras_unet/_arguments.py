"""Arguments of constructors: their checks, and the configuration that tells them again."""

from __future__ import annotations

import inspect
from typing import Any


def arguments_of(instance: Any) -> dict[str, Any]:
    """The constructor's named arguments, from the attributes of the same names.

    Example:
        >>> arguments_of(keras_unet.layers.NearestUpsampling(3))
        {'factor': 3}
    """
    _, *parameters = inspect.signature(type(instance).__init__).parameters.values()
    named = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
    return {name: getattr(instance, name) for name in named}


def check_positive(**values: Any) -> None:
    """Raises a `ValueError` for a value that is no positive integer."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer. Received: {name}={value}")


def check_rate(name: str, value: float) -> None:
    """Raises a `ValueError` for a rate outside [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1). Received: {name}={value}")


def check_not_negative(**values: float) -> None:
    """Raises a `ValueError` for a value that is below 0 or NaN."""
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0. Received: {name}={value}")
