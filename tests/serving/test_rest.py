"""The REST contract of TensorFlow Serving, case by case; images are 5 x 7 and 3 x 4 pixels."""

from __future__ import annotations

import base64
import gzip
import json
import math

import numpy as np
import pytest
import requests
from serving_models import png

IMAGE = (np.arange(35, dtype=np.uint8) * 7).reshape(5, 7)
MASK = (IMAGE > 128).astype(np.uint8)
ROW = {"instances": [IMAGE[..., None].tolist()]}


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def failed(answer, status, words):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert words.lower() in answer.json()["error"].lower()


def test_case01_status(served):
    rows = requests.get(served.url()).json()["model_version_status"]
    assert [(row["version"], row["state"]) for row in rows] == [
        ("2", "AVAILABLE"),
        ("1", "AVAILABLE"),
    ]
    assert rows[0]["status"] == {"error_code": "OK", "error_message": ""}
    [one] = requests.get(served.url("/versions/1")).json()["model_version_status"]
    assert one["version"] == "1"
    assert len(requests.get(served.url("/labels/stable")).json()["model_version_status"]) == 2


def test_case01_status_of_unknown(served):
    missing = requests.get(f"{served.rest}/v1/models/nothing")
    failed(missing, 404, "Could not find any versions of model nothing")
    failed(requests.get(served.url("/versions/7")), 404, "Could not find version 7 of model cells")


def test_case02_metadata(served):
    document = requests.get(served.url("/metadata")).json()
    assert document["model_spec"] == {"name": "cells", "signature_name": "", "version": "2"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert "__saved_model_init_op" in signatures
    images = signatures["serving_default"]["inputs"]["images"]
    assert images["dtype"] == "DT_FLOAT"
    sizes = [dim["size"] for dim in images["tensor_shape"]["dim"]]
    assert sizes == ["-1", "-1", "-1", "1"]
    assert signatures["classes"]["outputs"]["classes"]["dtype"] == "DT_UINT8"
    labelled = requests.get(served.url("/labels/stable/metadata")).json()
    assert labelled["model_spec"]["version"] == "1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/cells:predict"),
        ("GET", "/cells/version/50"),
        ("GET", "/cells/label/some"),
        ("GET", "/cells/versions/1/labels/stable"),
        ("GET", "/cells/versions/notnumeric"),
        ("GET", "/cells/versions/1/other"),
        ("POST", "/cells/metadata"),
        ("POST", "/cells"),
        ("POST", "/cells:unknown"),
        ("POST", "/cells/versions/x:predict"),
        ("POST", "/cells/versions/1/labels/stable:predict"),
        ("POST", ":predict"),
    ],
)
def test_case03_malformed_paths(served, method, path):
    answer = requests.request(method, f"{served.rest}/v1/models{path}", json=ROW)
    failed(answer, 400, f"Malformed request: {method}")


def test_case03_other_paths(served):
    failed(requests.get(f"{served.rest}/v1/models"), 400, "Missing model name")
    failed(requests.post(f"{served.rest}/v1/foo", data="{}"), 400, "Malformed request: POST")
    for path in ("/versions/18446744073709551615", "/versions/99999999999999999999999999"):
        answer = requests.get(served.url(path))
        assert (answer.status_code, answer.content) == (400, b"")


def test_case04_not_under_v1(served):
    answer = requests.get(f"{served.rest}/v2/models/cells")
    assert answer.status_code == 404


def test_case05_paths_ignore_case(served):
    assert requests.get(f"{served.rest}/V1/Models/cells").ok
    assert served.post(ROW, path=":PREDICT").ok


def test_case06_names_are_decoded(served):
    assert requests.get(f"{served.rest}/v1/models/c%65lls").ok
    failed(requests.get(f"{served.rest}/v1/models/a%20b"), 404, "of model a b")


def test_case07_row_single_input(served):
    [found] = served.post({**ROW, "signature_name": "classes"}).json()["predictions"]
    assert found == MASK.tolist()


def test_case08_row_objects(served):
    rows = [{"a": 1.5, "b": 2}, {"a": 3, "b": 4}]
    answer = served.post({"signature_name": "pair", "instances": rows}).json()
    assert answer == {
        "predictions": [{"total": 3.5, "quotient": 0.75}, {"total": 7.0, "quotient": 0.75}]
    }


def test_case09_columns(served):
    image = ROW["instances"]
    plain = served.post({"signature_name": "classes", "inputs": image}).json()
    named = served.post({"signature_name": "classes", "inputs": {"images": image}}).json()
    assert plain == named == {"outputs": [MASK.tolist()]}
    answer = served.post({"signature_name": "pair", "inputs": {"a": [1], "b": [2], "more": 3}})
    assert answer.json() == {"outputs": {"total": [3.0], "quotient": [0.5]}}


def test_case10_signature_names(served):
    assert served.post({**ROW, "signature_name": ""}).json() == served.post(ROW).json()
    words = 'Serving signature name: "other" not found in signature def'
    failed(served.post({**ROW, "signature_name": "other"}), 400, words)
    failed(served.post({**ROW, "signature_name": 3}), 400, "must be a string")


def test_case11_versions(served):
    def first(path):
        return served.post(ROW, path=path).json()["predictions"][0][0][0]

    assert first(":predict") == first("/versions/2:predict") == [1.0, 0.0]
    assert first("/versions/1:predict") == [0.75, 0.25]
    failed(served.post(ROW, path="/versions/7:predict"), 404, "Specific(cells, 7)")
    missing = requests.post(f"{served.rest}/v1/models/no:predict", json=ROW)
    failed(missing, 404, "Servable not found for request: Latest(no)")


def test_case12_labels(served):
    stable = served.post(ROW, path="/labels/stable:predict").json()
    assert stable == served.post(ROW, path="/versions/1:predict").json()
    failed(
        served.post(ROW, path="/labels/none:predict"),
        400,
        "Unrecognized servable version label: none",
    )


def test_case13_both_keys(served):
    failed(served.post({**ROW, "inputs": ROW["instances"]}), 400, "")


def test_case14_neither_key(served):
    failed(served.post({"signature_name": "classes"}), 400, "Missing 'inputs' or 'instances' key")


@pytest.mark.parametrize("body", [b"", b"  ", b"{", b'{"instances": [1,}', b"\xff\xfe{}", b"nul"])
def test_case15_bad_json(served, body):
    failed(served.post(body), 400, "JSON Parse error")


@pytest.mark.parametrize("body", [b"[1, 2]", b'"text"', b"3"])
def test_case15_no_object(served, body):
    failed(served.post(body), 400, "")


def test_case15_text_after_the_document_is_ignored(served):
    assert served.post(json.dumps(ROW) + " trailing").json() == served.post(ROW).json()


def test_case16_empty_instances(served):
    failed(served.post({"instances": []}), 400, "No values in 'instances' array")
    failed(served.post({"instances": 3}), 400, "instances")


def test_case17_string_for_a_number(served):
    failed(served.post({"instances": [[[["a"]]]]}), 400, "not of expected type")
    failed(served.post({"instances": [[[[True]]]]}), 400, "not of expected type")
    failed(served.post({"instances": [[[[None]]]]}), 400, "not of expected type")
    classes = {"signature_name": "classes", "instances": [[[[1.5]]]]}
    failed(served.post(classes), 400, "not of expected type")


def test_case18_ragged(served):
    failed(served.post({"instances": [[[[1]]], [[[1]], [[2]]]]}), 400, "tensor size: 1 but got: 2")
    failed(served.post({"instances": [[[[1], [2]], [[3]]]]}), 400, "")


def test_case19_keys_of_row_objects(served):
    for row in ({"a": 1, "b": 2, "c": 3}, {"a": 1}, {}):
        failed(served.post({"signature_name": "pair", "instances": [row]}), 400, "")
    failed(served.post({"signature_name": "pair", "instances": [1.0]}), 400, "")


def test_case20_mixed_rows(served):
    for rows in ([{"a": 1, "b": 2}, [1]], [[1], {"a": 1, "b": 2}]):
        failed(served.post({"signature_name": "pair", "instances": rows}), 400, "")


def test_case21_missing_column(served):
    answer = served.post({"signature_name": "pair", "inputs": {"a": [1]}})
    failed(answer, 400, "Missing named input: b in 'inputs' object.")
    failed(served.post({"signature_name": "pair", "inputs": [1]}), 400, "")


@pytest.mark.parametrize(
    "value", [{"b64": "****"}, {"b64": 3}, {"b64": "AA==", "more": 1}, {"b64": "é"}, 3, None, []]
)
def test_case22_bad_bytes(served, value):
    body = {"signature_name": "segment_bytes", "instances": [value]}
    failed(served.post(body), 400, "")


def test_case22_bytes_for_numbers(served):
    failed(served.post({"instances": [b64(b"abc")]}), 400, "")
    text = {"signature_name": "segment_bytes", "instances": ["no picture"]}
    failed(served.post(text), 400, "")  # a string is taken, and decoded as a file


def test_case23_numbers_that_are_none(served):
    rows = ", ".join(
        f'{{"a": {text}, "b": 1}}' for text in ("NaN", "Infinity", "-Infinity", "1e999")
    )
    answer = served.post('{"signature_name": "pair", "instances": [' + rows + "]}")
    total = [row["total"] for row in json.loads(answer.text)["predictions"]]
    assert math.isnan(total[0])
    assert total[1:] == [math.inf, -math.inf, math.inf]


@pytest.mark.parametrize("value", [300, -1, 2**70])
def test_case24_integers_out_of_range(served, value):
    body = {"signature_name": "classes", "instances": [[[[value]]]]}
    failed(served.post(body), 400, "")


def test_case25_float32_round_trip(served):
    values = np.random.default_rng(0).normal(size=50).astype(np.float32)
    values = np.concatenate([values, np.float32([0.1, 1, 1e-30, 3.4e38, 16777217])])
    body = {
        "signature_name": "pair",
        "instances": [{"a": float(value), "b": 0} for value in values],
    }
    answer = served.post(body)
    total = [row["total"] for row in answer.json()["predictions"]]
    np.testing.assert_array_equal(np.float32(total), values)
    assert "0.1," in answer.text or "0.1\n" in answer.text or "0.1}" in answer.text
    assert "0.10000000149" not in answer.text


def test_case26_bytes_are_base64_and_sizes_integers(served):
    pictures = [png(IMAGE), png(IMAGE[:3, :4])]
    body = {"signature_name": "segment_bytes", "instances": [b64(one) for one in pictures]}
    first, second = served.post(body).json()["predictions"]
    assert (first["height"], first["width"]) == (5, 7)
    assert (second["height"], second["width"]) == (3, 4)
    assert isinstance(first["height"], int)
    assert base64.b64decode(first["mask_png_bytes"]["b64"]) == png(MASK)
    assert base64.b64decode(second["mask_png_bytes"]["b64"]) == png(MASK[:3, :4])
    about = served.post({"signature_name": "metadata", "instances": ["x"]}).json()
    assert json.loads(about["predictions"][0])["class_names"] == ["background", "cell"]


def test_case27_gzip_requests(served):
    packed = gzip.compress(json.dumps(ROW).encode())
    answer = served.post(packed, headers={"Content-Encoding": "gzip"})
    assert answer.json() == served.post(ROW).json()
    broken = served.post(b"no gzip", headers={"Content-Encoding": "gzip"})
    assert broken.status_code == 400


def test_case28_answers_are_not_packed(served):
    answer = served.post(ROW, headers={"Accept-Encoding": "gzip, deflate"})
    assert "Content-Encoding" not in answer.headers


def test_case29_large_bodies_are_refused(own):
    large = b'{"instances": [' + b"1," * (5 * 2**20) + b"1]}"
    failed(own.post(large), 413, "larger than 8388608 bytes")
    bomb = gzip.compress(b" " * 2**27)
    answer = own.post(bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code in (400, 413)
    assert own.post(ROW).ok


def test_case30_deep_nesting_is_refused(own):
    for text in ("[" * 100_000, '{"a":' * 50_000, '{"instances": ' + "[" * 33 + "]" * 33 + "}"):
        failed(own.post(text), 400, "nested deeper than 32")
    name = json.dumps({**ROW, "signature_name": '[[[["\\' * 20})
    failed(own.post(name), 400, "not found in signature def")  # brackets in a string are no depth


def test_case31_outputs_that_are_no_numbers(served):
    rows = [{"a": 0, "b": 0}, {"a": 1, "b": 0}, {"a": -1, "b": 0}]
    answer = served.post({"signature_name": "pair", "instances": rows})
    quotient = [row["quotient"] for row in json.loads(answer.text)["predictions"]]
    assert math.isnan(quotient[0])
    assert quotient[1:] == [math.inf, -math.inf]
    assert "NaN" in answer.text
    assert "-Infinity" in answer.text


def test_outputs_without_batch_axis_and_half_numbers(served):
    scalar = {"signature_name": "scalar", "instances": [1.0, 2.0]}
    failed(served.post(scalar), 400, "has no shape information")
    columns = {"signature_name": "scalar", "inputs": [1.0, 2.0]}
    assert served.post(columns).json() == {"outputs": 1.5}
    half = {"signature_name": "half", "instances": [1.0]}
    failed(served.post(half), 400, "Failed to write JSON value for tensor type")


@pytest.mark.parametrize("shape", [(), (2,), (5, 7), (0, 7, 1), (1, 1, 1, 1), (5, 7, 3)])
def test_wrong_ranks_and_sizes_do_no_harm(served, shape):
    failed(served.post({"instances": [np.zeros(shape).tolist()]}), 400, "")
    assert served.post(ROW).ok
