"""Values of a recipe's fields: from what a file or a command line gives to the field's type."""

from __future__ import annotations

import json
import types
import typing
from typing import Any


def convert(name: str, value: Any, hint: Any) -> Any:
    """The value as the field's type, or an error that names both.

    Args:
        name: The field.
        value: What was given.
        hint: The field's type, maybe a union.

    Returns:
        The value; options and lists are copies.

    Raises:
        ValueError: If it has none of the types.
    """
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    plain = _as_plain(name, value)
    for option in options:
        kind = typing.get_origin(option) or option
        if kind is float:
            number = _as_float(plain)
            if number is not None:
                return number
        elif kind is list and isinstance(plain, list):
            numbers = [_as_float(entry) for entry in plain]
            if numbers and None not in numbers:
                if float in typing.get_args(option):
                    return numbers
                if all(isinstance(e, int) and not isinstance(e, bool) for e in plain):
                    return plain
        elif isinstance(plain, kind) and not (kind is int and isinstance(plain, bool)):
            return plain
    wanted = " or ".join(_TYPE_NAMES.get(option) or _TYPE_NAMES[dict] for option in options)
    raise ValueError(f"{name} must be {wanted}. Received: {name}={value!r}")


_TYPE_NAMES: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping of options",
    list[int]: "a list of whole numbers",
    list[float]: "a list of numbers",
    type(None): "null",
}


def _as_plain(name: str, value: Any) -> Any:
    """A copy of nested options as JSON would give it back, so that files round trip."""
    if not isinstance(value, (dict, list, tuple)):
        return value
    try:
        return json.loads(json.dumps(value))
    except TypeError as error:
        raise ValueError(f"{name} must hold plain values ({error}). Received: {value!r}") from error


def _as_float(value: Any) -> float | None:
    """A finite float, or None; text counts, because YAML 1.1 reads `1e-3` as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
