"""Checks a recipe's values against the class that takes them: names, types, and the class's own."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_unet._arguments import did_you_mean, parameters_of, shown


def check_names(group: str, given: Iterable[Any], names: Sequence[str], taker: str = "") -> None:
    """Raises a `ValueError` for the first name that is not among `names`.

    Args:
        group: What the names are arguments of, such as "augmentation".
        given: The names that were given.
        names: Those that there are.
        taker: Added to the message: who takes them. Defaults to nothing.
    """
    for name in given:
        if name not in names:
            hint = did_you_mean(name, names) or f"; there are {', '.join(names)}"
            raise ValueError(f"unknown {group} argument {shown(name)}{taker}{hint}")


def check_arguments(
    group: str, cls: type, given: Any, hidden: Sequence[str] = (), taker: str = ""
) -> dict[str, Any]:
    """The arguments as plain values, if the class takes them and their types fit.

    Args:
        group: What they are called in messages.
        cls: The class that takes them.
        given: Name -> value.
        hidden: Parameters that are not the user's.
        taker: See `check_names`.

    Returns:
        A copy; texts that stand for numbers are numbers.

    Raises:
        ValueError: If a name is unknown or a type is wrong.
    """
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{group} must be a mapping of arguments. Received: {group}={shown(given)}"
        )
    check_names(group, given, [n for n in parameters_of(cls) if n not in hidden], taker)
    hints = typing.get_type_hints(
        cls if dataclasses.is_dataclass(cls) else cls.__init__  # type: ignore[misc]
    )
    converted = {
        name: convert(f"{group}.{name}", value, hints.get(name, Any))
        for name, value in given.items()
    }
    _check_sizes(group, converted)
    return converted


MOST = {"convs_per_level": 64, "kernel_size": 255, "grid": 256} | dict.fromkeys(
    ("min_size", "min_seed_size", "class_weights", "weights", "distance_weight"), 10**9
)
"""Upper ends of arguments, whose classes have none; of others `MOST_OTHERS`."""
MOST_OTHERS = 2**16


def _check_sizes(group: str, given: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for a number that no network and no image can need."""
    for name, value in given.items():
        waiting, most = [value], MOST.get(name, MOST_OTHERS)
        while waiting:
            one = waiting.pop()
            if isinstance(one, Mapping):
                waiting += one.values()
            elif isinstance(one, (list, tuple)):
                waiting += one
            elif isinstance(one, (int, float)) and not -most <= one <= most:
                raise ValueError(
                    f"{group}.{name} must hold numbers up to {most:,}. Received: {shown(one)}"
                )


def convert(path: str, value: Any, hint: Any) -> Any:
    """The value as the type that it should have, or an error that names both.

    Args:
        path: Path of the field, for the message.
        value: What was given.
        hint: The type, maybe a union.

    Returns:
        The value; mappings and lists are plain copies.

    Raises:
        ValueError: If it has none of the types.
    """
    plain = _as_plain(path, value)
    fits, converted = _as_type(plain, hint)
    if not fits:
        raise ValueError(f"{path} must be {_name_of_type(hint)}. Received: {path}={shown(value)}")
    return converted


def _as_plain(path: str, value: Any) -> Any:
    """A copy of nested options as JSON would give it back, so that files round trip."""
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    try:
        return json.loads(json.dumps(dict(value) if isinstance(value, Mapping) else value))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} must hold plain values ({error}). Received: {type(value).__name__}"
        ) from error


_NO = (False, None)


def _as_type(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether a plain value has the type, and the value as this type."""
    if hint is Any:
        return True, value
    kind = typing.get_origin(hint) or hint
    if kind in (types.UnionType, typing.Union):
        found = (_as_type(value, option) for option in typing.get_args(hint))
        return next((one for one in found if one[0]), _NO)
    if kind is float:
        number = _as_float(value)
        return number is not None, number
    if kind in (list, tuple, Sequence):
        return _as_sequence(value, typing.get_args(hint))
    kind = dict if kind is Mapping else kind
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool)), value


def _as_sequence(value: Any, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    if not isinstance(value, list) or not value:
        return _NO
    hints = [hint for hint in arguments if hint is not Ellipsis] or [Any]
    if len(hints) == 1:
        hints *= len(value)
    if len(hints) != len(value):
        return _NO
    found = [_as_type(entry, hint) for entry, hint in zip(value, hints, strict=True)]
    return all(fits for fits, _ in found), [entry for _, entry in found]


def _as_float(value: Any) -> float | int | None:
    """A finite number, or None; text counts, because YAML 1.1 reads `1e-3` as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


_TYPE_NAMES: dict[Any, tuple[str, str]] = {
    str: ("a text", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    type(None): ("null", "nulls"),
}
"""What messages call a value, and several in a list."""
_OTHER = ("a mapping of options", "values")


def _name_of_type(hint: Any) -> str:
    kind, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (types.UnionType, typing.Union):
        return " or ".join(dict.fromkeys(map(_name_of_type, arguments)))
    if kind in (list, tuple, Sequence):
        return f"a list of {_TYPE_NAMES.get(arguments[0] if arguments else None, _OTHER)[1]}"
    return _TYPE_NAMES.get(kind, _OTHER)[0]
