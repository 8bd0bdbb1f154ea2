"""JSON to arrays and back, without a server."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import numpy as np
import pytest

from keras_unet.serving.contract import (
    ServingError,
    TensorSpec,
    inflate,
    parse_json,
    response_document,
)
from keras_unet.serving.json_arrays import request_arrays


def spec(kind, shape=None):
    return TensorSpec(None if kind is None else np.dtype(kind), shape, f"DT_{kind}")


def read(values, kind):
    return request_arrays({"inputs": values}, {"x": spec(kind)})[0]["x"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2], "float32", np.float32([1, 2])),
        ([2**70, 0.5], "float32", np.float32([2.0**70, 0.5])),
        ([2**70], "float32", np.float32([2.0**70])),
        ([1e300], "float32", np.float32([np.inf])),
        ([[1], [255]], "uint8", np.uint8([[1], [255]])),
        ([2**40], "int64", np.int64([2**40])),
        ([True, False], "bool", np.array([True, False])),
        (3.5, "float32", np.float32(3.5)),
        ([], "float32", np.zeros(0, np.float32)),
        ([[], []], "uint8", np.zeros((2, 0), np.uint8)),
    ],
)
def test_numbers(values, kind, expected):
    found = read(values, kind)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_strings():
    found = read([["a", {"b64": "YsO8"}], ["", "ü"]], "S")
    assert found.tolist() == [[b"a", "bü".encode()], [b"", "ü".encode()]]
    assert read({"b64": "YQ=="}, "S").shape == ()


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([[1], [1, 2]], "float32", "unequal sizes"),
        ([["a"], ["b", "c"]], "S", "unequal sizes"),
        (["a", ["b"]], "S", "not of expected type: string"),
        ([1, "2"], "float32", "not of expected type: float"),
        ([1.0], "int32", "not of expected type: int"),
        ([1], "bool", "not of expected type: bool"),
        ([2**31], "int32", "values must be in"),
        ([10**400], "float32", "not of expected type: float"),
        ([True], "float32", "not of expected type: float"),
        ([1, None], "float32", "not of expected type: float"),
        ([[1], 2], "float32", "unequal sizes"),
        ([1, [2]], "float32", "not of expected type: float"),
        ([[[1]], [[1], [2]]], "float32", "Expecting tensor size: 1 but got: 2"),
        ([1], None, "DT_None is not supported"),
    ],
)
def test_wrong_values(values, kind, message):
    with pytest.raises(ServingError, match=message):
        read(values, kind)


def test_shortest_decimals():
    values = np.random.default_rng(0).integers(0, 2**32, 2000, np.uint32).view(np.float32)
    values = values[np.isfinite(values)]
    text = response_document({"x": values}, row=False)
    np.testing.assert_array_equal(np.float32(json.loads(text)["outputs"]), values)
    assert response_document({"x": np.float32([0.1, 1])}, row=True) == '{"predictions": [0.1, 1.0]}'


def test_answers_of_several_outputs():
    outputs = {"a": np.int32([1, 2]), "b_bytes": np.array([b"x", b"y"], object)}
    rows = json.loads(response_document(outputs, row=True))["predictions"]
    assert rows == [{"a": 1, "b_bytes": {"b64": "eA=="}}, {"a": 2, "b_bytes": {"b64": "eQ=="}}]
    with pytest.raises(ServingError, match="different batch sizes"):
        response_document({"a": np.zeros(2), "b": np.zeros(3)}, row=True)
    with pytest.raises(ServingError, match="Failed to write JSON"):
        response_document({"a": np.zeros(2, np.complex64)}, row=True)


@pytest.mark.parametrize(
    "text", ['{"a": "[[[[', '{"a": "' + '\\"[' * 100_000, "\\" * 50_000, "]" * 100]
)
def test_texts_that_end_too_early(text):
    with pytest.raises(ServingError, match="JSON Parse error"):
        parse_json(text.encode())


def test_depth():
    assert parse_json(b'{"a": [[1]], "b": "[[[[["}', max_depth=3)["a"] == [[1]]
    with pytest.raises(ServingError, match="nested deeper than 2 levels"):
        parse_json(b'{"a": [[1]]}', max_depth=2)


def test_inflate():
    taken = []
    packed = gzip.compress(b"x" * 3_000_000)
    assert inflate(packed, 3_000_000, taken.append) == b"x" * 3_000_000
    assert sum(taken) == 3_000_000
    assert len(taken) > 2
    assert inflate(packed, 2_999_999, taken.append) is None
    with pytest.raises(ServingError, match="ends too early"):
        inflate(packed[:-4], 3_000_000, taken.append)
    with pytest.raises(ServingError, match="not gzip"):
        inflate(b"text", 1000, taken.append)


IMAGES = {"images": spec("float32", (None, None, None, 3))}
FLAT = list(range(200_000))


@pytest.mark.parametrize(
    ("document", "specs"),
    [
        ({"instances": FLAT}, IMAGES),
        ({"inputs": FLAT}, IMAGES),
        ({"inputs": {"images": [FLAT]}}, IMAGES),
        ({"instances": [[FLAT]]}, IMAGES),
        ({"instances": [{"images": one} for one in FLAT]}, IMAGES),
        ({"instances": [[[[1] * 3]], FLAT]}, IMAGES),
        ({"instances": [[[[1] * 3]], [[[1] * 4]]]}, IMAGES),
        ({"instances": [[[["a" * 100_000] * 3] + [[1] * 3] * 50_000]]}, IMAGES),
        ({"instances": [[one] for one in FLAT]}, {"x": spec("S", (None,))}),
        ({"instances": [{"a": 1}] * 200_000}, {"a": spec("int32"), "b": spec("int32")}),
    ],
)
def test_wrong_input_costs_no_arrays(document, specs):
    """Traced: the list itself is there already, and 16 bytes an item would be a second one."""
    tracemalloc.start()
    try:
        with pytest.raises(ServingError, match="INVALID_ARGUMENT") as caught:
            request_arrays(document, specs)
        assert tracemalloc.get_traced_memory()[1] < 16 * 200_000
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 400
