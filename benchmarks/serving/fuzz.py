"""Malformed requests from a seed: what a server must refuse without harm."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass, field


@dataclass
class Malformed:
    """A POST request that is wrong in one way.

    Attributes:
        path: Path below the server's address.
        body: The body.
        headers: HTTP headers.
    """

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def malformed(model: str, count: int, seed: int = 0) -> list[Malformed]:
    """Requests that are broken in many ways; the same ones for the same seed."""
    chosen = random.Random(seed)
    makers = [
        _cut,
        _flipped,
        _shape,
        _leaf,
        _ragged,
        _deep,
        _base64,
        _keys,
        _noise,
        _packed,
        _path,
        _picture,
    ]
    return [chosen.choice(makers)(model, chosen) for _ in range(count)]


def _valid(chosen: random.Random) -> bytes:
    image = [[[chosen.randrange(256)] * 3 for _ in range(4)] for _ in range(5)]
    return json.dumps({"signature_name": "classes", "instances": [image]}).encode()


def _predict(model: str) -> str:
    return f"/v1/models/{model}:predict"


def _request(model: str, document: object) -> Malformed:
    return Malformed(_predict(model), json.dumps(document).encode())


def _cut(model: str, chosen: random.Random) -> Malformed:
    body = _valid(chosen)
    return Malformed(_predict(model), body[: chosen.randrange(len(body))])


def _flipped(model: str, chosen: random.Random) -> Malformed:
    body = bytearray(_valid(chosen))
    for _ in range(chosen.randint(1, 8)):
        body[chosen.randrange(len(body))] = chosen.randrange(256)
    return Malformed(_predict(model), bytes(body))


def _shape(model: str, chosen: random.Random) -> Malformed:
    value: object = chosen.randrange(256)
    for _ in range(chosen.choice([0, 1, 2, 4, 5, 6])):
        value = [value] * chosen.randint(0, 4)
    signature = chosen.choice(["classes", "serving_default", "segment_bytes", "none", ""])
    return _request(model, {"signature_name": signature, "instances": [value]})


def _leaf(model: str, chosen: random.Random) -> Malformed:
    leaf = chosen.choice([None, True, "text", {}, [], -1, 256, 1.5, 1e308, 2**70, float("nan")])
    return _request(model, {"signature_name": "classes", "instances": [[[[leaf] * 3]]]})


def _ragged(model: str, chosen: random.Random) -> Malformed:
    rows = [[[0, 0, 0]] * chosen.randint(0, 4) for _ in range(4)]
    return _request(model, {"instances": [rows, rows[:2]]})


def _deep(model: str, chosen: random.Random) -> Malformed:
    depth = chosen.choice([20, 33, 1000, 100_000])
    opening = chosen.choice(["[", '{"a":', '[{"inputs":'])
    return Malformed(_predict(model), b'{"instances": ' + opening.encode() * depth)


def _base64(model: str, chosen: random.Random) -> Malformed:
    value = chosen.choice([{"b64": "*"}, {"b64": "A"}, {"b64": 1}, {"b64": "", "x": 1}, {}, "é", 3])
    return _request(model, {"signature_name": "segment_bytes", "instances": [value]})


def _keys(model: str, chosen: random.Random) -> Malformed:
    document = {
        key: chosen.choice([1, "text", [], {}, [[1]], {"images": [1]}, None])
        for key in ("instances", "inputs", "signature_name", "other")
        if chosen.random() < 0.5
    }
    return _request(model, document)


def _noise(model: str, chosen: random.Random) -> Malformed:
    return Malformed(_predict(model), chosen.randbytes(chosen.randrange(2000)))


def _packed(model: str, chosen: random.Random) -> Malformed:
    body = gzip.compress(_valid(chosen) + b" " * 10_000, mtime=0)
    broken = body[: chosen.randrange(1, len(body))] + chosen.randbytes(5)
    return Malformed(_predict(model), broken, {"Content-Encoding": "gzip"})


def _path(model: str, chosen: random.Random) -> Malformed:
    ending = chosen.choice(
        [":predict", ":classify", ":regress", ":x", "", "/metadata", "/versions/"]
    )
    name = chosen.choice(["nothing", model, "a%00b", "..%2f..%2fetc", "x" * 3000, "%ff"])
    version = chosen.choice(
        ["", "/versions/999", "/versions/-1", "/labels/none", "/versions/9" * 2]
    )
    return Malformed(f"/v1/models/{name}{version}{ending}", _valid(chosen))


def _picture(model: str, chosen: random.Random) -> Malformed:
    """A file that begins as a picture and goes on as anything, or says that it is huge."""
    import base64

    start = chosen.choice(
        [
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\0\0\0\0",
            b"\xff\xd8\xff\xe0\0\x10JFIF",
            b"GIF89a\xff\xff\xff\xff",
            b"BM",
            b"RIFF\xff\xff\xff\x7fWEBPVP8 ",
            b"II*\0",
        ]
    )
    contents = base64.b64encode(start + chosen.randbytes(chosen.randrange(200))).decode()
    return _request(model, {"signature_name": "segment_bytes", "instances": [{"b64": contents}]})
