"""Arguments that people give: checks, the name that was probably meant, and their configuration."""

from __future__ import annotations

import difflib
import inspect
import re
import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 4
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 8
_SHORT.maxstring = _SHORT.maxother = 100


def parameters_of(cls: type) -> list[str]:
    """Names of the constructor's parameters, without `*args` and `**kwargs`."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    return [one.name for one in found if one.kind not in kinds][1:]


def notes_of(documented: Callable[..., Any]) -> dict[str, str]:
    """What the `Args` of a class's or function's documentation say of every argument, in a line."""
    text = inspect.cleandoc(documented.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    ([\w, ]+): (.*(?:\n {8}.*)*)", text, flags=re.MULTILINE)
    return {
        name.strip(): " ".join(note.split()) for names, note in entries for name in names.split(",")
    }


def arguments_of(instance: Any) -> dict[str, Any]:
    """The constructor's named arguments, from the attributes of the same names.

    Example:
        >>> arguments_of(keras_unet.layers.NearestUpsampling(3))
        {'factor': 3}
    """
    return {name: getattr(instance, name) for name in parameters_of(type(instance))}


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


def shown(value: Any) -> str:
    """The value for a message: its `repr`, of long, large and deep ones a part.

    Example:
        >>> shown("ab" * 500), shown(list(range(1000)))
        ("'abababababababab...bababababababab'", '[0, 1, 2, 3, 4, 5, 6, 7, ...]')
    """
    return _SHORT.repr(value)


def did_you_mean(name: Any, names: Iterable[str]) -> str:
    """` (did you mean 'sigma'?)` for the nearest of the names, or nothing if none is near.

    Example:
        >>> did_you_mean("sgima", ["sigma", "scale"])
        " (did you mean 'sigma'?)"
    """
    near = difflib.get_close_matches(name, list(names), n=1) if isinstance(name, str) else []
    return f" (did you mean {near[0]!r}?)" if near else ""


def check_one_of(path: str, value: Any, choices: Sequence[Any]) -> None:
    """Raises a `ValueError` that lists the choices and names the nearest one."""
    if value not in choices:
        hint = did_you_mean(value, [choice for choice in choices if isinstance(choice, str)])
        raise ValueError(
            f"{path} must be one of {tuple(choices)}{hint}. Received: {path}={shown(value)}"
        )


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
            count = int(values.size - good.sum())
            raise ValueError(
                f"{what} has {count} NaN or infinite values, {_box(~good)}; crop or fill them"
            )


def _box(found: np.ndarray) -> str:
    """Where the values of an image lie: `in rows 3 to 7, columns 2 to 9`."""
    names = {4: ("slices", "rows", "columns"), 3: ("rows", "columns")}.get(found.ndim, ())
    if found.ndim == 3 and found.shape[-1] > 16:  # no channels: a volume's array
        names = ()
    places = np.argwhere(found)
    first, last = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    if not names:
        return f"from index {tuple(first)} to {tuple(last)}"
    ranges = zip(names, first, last, strict=False)
    return "in " + ", ".join(f"{name} {low} to {high}" for name, low, high in ranges)
