"""TensorFlow Serving's REST contract: JSON to arrays and back, errors and their codes. NumPy only.

Source: tensorflow/serving, `g3doc/api_rest.md` and `util/json_tensor.cc`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

HTTP_STATUS = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""Status of the answer by the error's code."""
MAX_DEPTH = 32
"""Nested JSON lists and objects that a request may have; an image with its batch needs six."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_KINDS = {"f": "float", "i": "int", "u": "unsigned int", "b": "bool", "S": "string"}


class ServingError(Exception):
    """What a server answers when it cannot do what it was asked.

    Attributes:
        code: Name of the gRPC status code, such as `"INVALID_ARGUMENT"`.
        message: What is wrong.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """Status of the HTTP answer."""
        return HTTP_STATUS.get(self.code, 500)


def invalid(message: str) -> ServingError:
    """An INVALID_ARGUMENT error."""
    return ServingError("INVALID_ARGUMENT", message)


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        dtype: NumPy dtype; strings are `S`. None for types that JSON and NumPy lack.
        shape: Sizes, None for any; None as a whole for any rank.
        type_name: TensorFlow's name of the type, such as `"DT_FLOAT"`.
    """

    dtype: np.dtype | None
    shape: tuple[int | None, ...] | None
    type_name: str

    @property
    def is_string(self) -> bool:
        """Whether its values are byte strings."""
        return self.dtype is not None and self.dtype.kind == "S"

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        if self.shape is None:
            return True
        if len(shape) != len(self.shape):
            return False
        return all(own in (None, size) for own, size in zip(self.shape, shape, strict=True))


def inflate(body: bytes, limit: int) -> bytes | None:
    """The content of a gzip body, or None if it is larger than `limit` bytes.

    Raises:
        ServingError: INVALID_ARGUMENT, if it is not gzip or ends too early.
    """
    inflater = zlib.decompressobj(wbits=31)
    try:
        found = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise invalid(f"The body is not gzip: {error}") from None
    if len(found) > limit:
        return None
    if not inflater.eof:
        raise invalid("The gzip body ends too early")
    return found


def parse_json(body: bytes, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The object of a request's body; text after it is ignored, NaN and Infinity are numbers.

    Args:
        body: UTF-8 text.
        max_depth: Deepest nesting that is read.

    Raises:
        ServingError: INVALID_ARGUMENT, if the body is no JSON object or is nested too deeply.
    """
    if not body.strip():
        raise invalid("JSON Parse error: The document is empty")
    if _depth(body) > max_depth:
        raise invalid(f"JSON Parse error: nested deeper than {max_depth} levels")
    try:
        text = body.decode("utf-8").lstrip("\ufeff \t\r\n")
        document, _ = json.JSONDecoder().raw_decode(text)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {_short(error)}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_short(document)} is not object")
    return document


def _depth(body: bytes) -> int:
    """Deepest nesting, found without recursion and in linear time."""
    characters = np.frombuffer(_STRING.sub(b'""', body), np.uint8)
    steps = np.zeros(characters.size, np.int8)
    steps[(characters == ord("[")) | (characters == ord("{"))] = 1
    steps[(characters == ord("]")) | (characters == ord("}"))] = -1
    steps = steps[steps != 0]
    return int(np.cumsum(steps, dtype=np.int64).max()) if steps.size else 0


def signature_name_of(document: Mapping[str, Any]) -> str:
    """The signature that a request names; `serving_default` if none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value.")
    return name or "serving_default"


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
    named = _is_named(rows[0])
    if any(_is_named(one) is not named for one in rows):
        raise invalid("'instances' mixes objects with named inputs and plain values")
    if not named:
        if len(specs) != 1:
            raise invalid(
                "'instances' is a plain list, but expecting objects with the inputs "
                f"{braced(specs)}"
            )
        [(name, spec)] = specs.items()
        return {name: _stack(name, [_array(one, name, spec) for one in rows])}
    for one in rows:
        if set(one) != set(specs):
            raise invalid(
                f"Failed to process element of 'instances' list. Expecting the inputs "
                f"{braced(specs)}. Received: {braced(one)}"
            )
    return {
        name: _stack(name, [_array(one[name], name, spec) for one in rows])
        for name, spec in specs.items()
    }


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
    return isinstance(value, dict) and set(value) != {"b64"}


def _stack(name: str, arrays: list[np.ndarray]) -> np.ndarray:
    for one in arrays[1:]:
        if one.shape != arrays[0].shape:
            raise invalid(
                f"Input {name!r}: Expecting tensor size: {arrays[0].size} but got: {one.size} "
                f"(shapes {arrays[0].shape} and {one.shape})"
            )
    return np.stack(arrays)


def _array(value: Any, name: str, spec: TensorSpec) -> np.ndarray:
    if spec.dtype is None:
        raise ServingError("UNIMPLEMENTED", f"Input {name!r}: {spec.type_name} is not supported")
    if spec.is_string:
        return _strings(value, name)
    try:
        found = np.array(value)
    except (ValueError, TypeError, OverflowError):
        raise invalid(
            f"Input {name!r}: lists of unequal sizes. Received: {_short(value)}"
        ) from None
    wanted = spec.dtype
    if found.dtype.kind == "O" and wanted.kind == "f" and _all_numbers(found):
        found = found.astype(np.float64)  # whole numbers beyond 64 bits
    allowed = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}[wanted.kind]
    if found.size and found.dtype.kind not in allowed:
        raise invalid(
            f"Input {name!r}: JSON Value: {_short(value)} is not of expected type: "
            f"{_KINDS[wanted.kind]}"
        )
    if found.size and wanted.kind in "iu":
        limits = np.iinfo(wanted)
        if int(found.min()) < limits.min or int(found.max()) > limits.max:
            raise invalid(
                f"Input {name!r}: values must be in {limits.min}..{limits.max} for {wanted}. "
                f"Received: {found.min()}..{found.max()}"
            )
    with np.errstate(over="ignore"):  # beyond float32 is infinity
        return found.astype(wanted)


def _all_numbers(found: np.ndarray) -> bool:
    return all(type(one) in (int, float) and abs(one) < 1e308 for one in found.ravel())


def _strings(value: Any, name: str) -> np.ndarray:
    try:
        result = np.array(value, object)
        ragged = result.size > 0 and isinstance(result.flat[0], list)
    except ValueError:
        ragged = True
    if ragged:
        raise invalid(f"Input {name!r}: lists of unequal sizes. Received: {_short(value)}")
    for index, one in enumerate(result.flat):
        result.flat[index] = _bytes(one, name)
    return result


def _bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"].encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError, ValueError):
            raise invalid(f"Input {name!r}: Unable to base64 decode (standard alphabet)") from None
    raise invalid(f"Input {name!r}: JSON Value: {_short(value)} is not of expected type: string")


def response_document(outputs: Mapping[str, np.ndarray], row: bool) -> str:
    """The answer as JSON text.

    Args:
        outputs: Arrays by output name; strings as object arrays of bytes.
        row: Whether the request was in row format.

    Returns:
        `{"predictions": [...]}`, an item an instance, or `{"outputs": ...}`. Float32 values have
        the fewest digits that give the same number again; outputs whose name ends in `_bytes` are
        `{"b64": ...}`.

    Raises:
        ServingError: INVALID_ARGUMENT, if an output has a type that JSON lacks, or in row format
            no batch axis or another batch size than the others.
    """
    values = {name: _plain(name, array) for name, array in outputs.items()}
    single = next(iter(values.values())) if len(values) == 1 else None
    if not row:
        return json.dumps({"outputs": values if single is None else single})
    sizes = set()
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information")
        sizes.add(array.shape[0])
    if len(sizes) != 1:
        raise invalid(f"Outputs have different batch sizes: {sorted(sizes)}")
    if single is not None:
        return json.dumps({"predictions": single})
    names = list(values)
    rows = zip(*values.values(), strict=True)
    return json.dumps({"predictions": [dict(zip(names, one, strict=True)) for one in rows]})


def _plain(name: str, array: np.ndarray) -> Any:
    kind = array.dtype.kind
    if kind == "O":
        return _plain_strings(array.tolist(), name.endswith("_bytes"))
    if kind == "f" and array.dtype.itemsize == 4:
        # The shortest decimals of float32, which float64 then keeps.
        return array.astype("S32").astype(np.float64).tolist()
    if kind in "iub" or array.dtype == np.float64:
        return array.tolist()
    raise invalid(f"Failed to write JSON value for tensor type: {array.dtype}")


def _plain_strings(value: Any, as_base64: bool) -> Any:
    if isinstance(value, list):
        return [_plain_strings(one, as_base64) for one in value]
    if as_base64:
        return {"b64": base64.b64encode(value).decode("ascii")}
    return value.decode("utf-8", "replace")


def braced(names: Any) -> str:
    """Names as TensorFlow Serving lists them: `{a,b}`."""
    return "{" + ",".join(sorted(map(str, names))) + "}"


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, Exception) else repr(value)[:200]
    return text if len(text) <= 100 else f"{text[:100]}..."
