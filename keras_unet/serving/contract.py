"""TensorFlow Serving's REST contract: reading JSON, writing answers, errors and codes. NumPy only.

Source: tensorflow/serving, `g3doc/api_rest.md` and `util/json_tensor.cc`.
"""

from __future__ import annotations

import base64
import json
import re
import reprlib
import zlib
from collections.abc import Callable, Mapping
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
_PIECE = 2**20
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]], _STEPS[[ord("]"), ord("}")]] = 1, -1


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

    @property
    def sizes(self) -> str:
        """The shape in words."""
        if self.shape is None:
            return "any shape"
        return f"[{', '.join('?' if size is None else str(size) for size in self.shape)}]"

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raises INVALID_ARGUMENT if an array of this shape does not fit the input `name`."""
        fits = self.shape is None or (
            len(shape) == len(self.shape)
            and all(own in (None, size) for own, size in zip(self.shape, shape, strict=True))
        )
        if not fits:
            raise invalid(f"Input {name!r}: expected shape {self.sizes}. Received: {list(shape)}")


def inflate(body: bytes, limit: int, take: Callable[[int], object]) -> bytes | None:
    """The content of a gzip body, or None if it is larger than `limit` bytes.

    Args:
        body: What was sent.
        limit: Largest content.
        take: Called with the size of every piece before the next one is unpacked.

    Raises:
        ServingError: INVALID_ARGUMENT, if it is not gzip or ends too early; what `take` raises.
    """
    inflater = zlib.decompressobj(wbits=31)
    found = bytearray()
    packed: bytes = body
    while not inflater.eof:
        try:
            piece = inflater.decompress(packed, min(_PIECE, limit + 1 - len(found)))
        except zlib.error as error:
            raise invalid(f"The body is not gzip: {error}") from None
        packed = inflater.unconsumed_tail
        if len(found) + len(piece) > limit:
            return None
        if not piece and not inflater.eof:
            raise invalid("The gzip body ends too early")
        take(len(piece))
        found += piece
    return bytes(found)


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
        raise invalid(f"JSON Parse error: {short(error)}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {short(document)} is not object")
    return document


def _depth(body: bytes) -> int:
    """Deepest nesting, found without recursion, in linear time and little memory."""
    characters = np.frombuffer(_STRING.sub(b'""', body), np.uint8)
    level = deepest = 0
    for start in range(0, characters.size, _PIECE):
        steps = _STEPS[characters[start : start + _PIECE]]
        levels = level + np.cumsum(steps, dtype=np.int32)
        level, deepest = int(levels[-1]), max(deepest, int(levels.max()))
    return deepest


def signature_name_of(document: Mapping[str, Any]) -> str:
    """The signature that a request names; `serving_default` if none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value.")
    return name or "serving_default"


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


def short(value: Any) -> str:
    """A value or an error's message in at most 100 characters; a large one costs no more."""
    text = str(value)[:200] if isinstance(value, Exception) else _brief.repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxlong = _brief.maxother = 100
