"""The arrays of a JSON request; what is wrong is found before arrays are made. NumPy only.

Source: tensorflow/serving, `g3doc/api_rest.md` and `util/json_tensor.cc`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_unet.serving.contract import ServingError, TensorSpec, braced, invalid, short

_KINDS = {"f": "float", "i": "int", "u": "unsigned int", "b": "bool", "S": "string"}
_TYPES: dict[str, set[type]] = {"f": {int, float}, "i": {int}, "u": {int}, "b": {bool}}
"""Types of the values that JSON gives, by the kind of the array."""


def request_arrays(
    document: Mapping[str, Any], specs: Mapping[str, TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    """The inputs of a request.

    Args:
        document: The request: `instances` (row format) or `inputs` (column format).
        specs: The signature's inputs.

    Returns:
        Arrays by input name, and whether the request is in row format.

    Raises:
        ServingError: INVALID_ARGUMENT, if the values do not fit.
    """
    row = "instances" in document
    if row and "inputs" in document:
        raise invalid("Not formatted correctly: expecting only one of 'inputs' and 'instances'")
    if not row and "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    if row:
        return _from_rows(document["instances"], specs), True
    return _from_columns(document["inputs"], specs), False


def _from_rows(rows: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    if not isinstance(rows, list):
        raise invalid("'instances' must be an array (list) of values")
    if not rows:
        raise invalid("No values in 'instances' array.")
    if not _is_named(rows[0]):
        if len(specs) != 1:
            raise invalid(
                "'instances' is a plain list, but expecting objects with the inputs "
                f"{braced(specs)}"
            )
        [(name, spec)] = specs.items()
        return {name: _array(rows, name, spec)}
    for one in rows:
        if not isinstance(one, dict) or one.keys() != specs.keys():
            raise invalid(
                f"Failed to process element of 'instances' list. Expecting the inputs "
                f"{braced(specs)}. Received: {short(one)}"
            )
    return {name: _array([one[name] for one in rows], name, spec) for name, spec in specs.items()}


def _from_columns(inputs: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    if not _is_named(inputs):
        if len(specs) != 1:
            raise invalid(f"'inputs' is a plain value, but expecting the inputs {braced(specs)}")
        [(name, spec)] = specs.items()
        return {name: _array(inputs, name, spec)}
    for name in specs:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(inputs[name], name, spec) for name, spec in specs.items()}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {"b64"}


def _array(value: Any, name: str, spec: TensorSpec) -> np.ndarray:
    if spec.dtype is None:
        raise ServingError("UNIMPLEMENTED", f"Input {name!r}: {spec.type_name} is not supported")
    shape = _first_shape(value)
    spec.check(name, shape)
    # Objects, which are the list's own: an array of other types would copy texts to equal lengths.
    found = np.array(value, object)
    if found.shape != shape:
        raise invalid(_ragged(value, name))
    if spec.is_string:
        for index, one in enumerate(found.flat):
            found.flat[index] = _bytes(one, name)
        return found
    return _numbers(found, value, name, spec.dtype)


def _first_shape(value: Any) -> tuple[int, ...]:
    """The shape that the first items promise; no more of the value is looked at."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _ragged(value: list[Any], name: str) -> str:
    """What is wrong with lists of unequal sizes, as TensorFlow Serving says it of rows."""
    first = _first_shape(value[0])
    for row in value[1:]:
        if _first_shape(row) != first:
            return (
                f"Input {name!r}: Expecting tensor size: {math.prod(first)} but got: "
                f"{math.prod(_first_shape(row))} (lists of unequal sizes)"
            )
    return f"Input {name!r}: lists of unequal sizes. Received: {short(value)}"


def _numbers(found: np.ndarray, value: Any, name: str, wanted: np.dtype) -> np.ndarray:
    if not set(map(type, found.flat)) <= _TYPES[wanted.kind]:
        raise _unexpected(value, name, wanted)
    if found.size and wanted.kind in "iu":
        limits, lowest, highest = np.iinfo(wanted), found.min(), found.max()
        if lowest < limits.min or highest > limits.max:
            raise invalid(
                f"Input {name!r}: values must be in {limits.min}..{limits.max} for {wanted}. "
                f"Received: {short(lowest)}..{short(highest)}"
            )
    try:
        with np.errstate(over="ignore"):  # beyond float32 is infinity
            return found.astype(np.float64 if wanted.kind == "f" else wanted).astype(wanted)
    except OverflowError:  # a whole number that no float can hold
        raise _unexpected(value, name, wanted) from None


def _unexpected(value: Any, name: str, wanted: np.dtype) -> ServingError:
    return invalid(
        f"Input {name!r}: JSON Value: {short(value)} is not of expected type: {_KINDS[wanted.kind]}"
    )


def _bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"].encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError, ValueError):
            raise invalid(f"Input {name!r}: Unable to base64 decode (standard alphabet)") from None
    raise invalid(f"Input {name!r}: JSON Value: {short(value)} is not of expected type: string")
