"""Names that people type: which ones there are, and which one was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


def did_you_mean(name: Any, names: Iterable[str]) -> str:
    """` (did you mean 'sigma'?)` for the nearest of the names, or nothing if none is near.

    Example:
        >>> did_you_mean("sgima", ["sigma", "scale"])
        " (did you mean 'sigma'?)"
    """
    near = difflib.get_close_matches(str(name), list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def check_one_of(path: str, value: Any, choices: Sequence[Any]) -> None:
    """Raises a `ValueError` that lists the choices and names the nearest one."""
    if value not in choices:
        hint = did_you_mean(value, [choice for choice in choices if isinstance(choice, str)])
        raise ValueError(
            f"{path} must be one of {tuple(choices)}{hint}. Received: {path}={value!r}"
        )
