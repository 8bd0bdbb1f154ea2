"""The gRPC contract of TensorFlow Serving, case by case."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from serving_models import png
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

IMAGE = (np.arange(35, dtype=np.uint8) * 7).reshape(1, 5, 7, 1)
BATCH = {"images": IMAGE.astype(np.float32)}


@pytest.fixture(scope="module")
def channel(served):
    with grpc.insecure_channel(served.grpc) as one:
        yield one


@pytest.fixture
def predict(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def call(inputs, signature="", name="cells", outputs=(), version=None, label=None, timeout=30):
        request = predict_pb2.PredictRequest(output_filter=outputs)
        request.model_spec.name = name
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for key, value in inputs.items():
            is_proto = isinstance(value, tf.make_tensor_proto(0).__class__)
            request.inputs[key].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
        return stub.Predict(request, timeout=timeout)

    return call


def fails(code, words, call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    assert caught.value.code() == grpc.StatusCode[code], caught.value.details()
    assert words in caught.value.details()
    return caught.value.details()


def test_case32_predict(predict):
    response = predict(BATCH)
    found = tf.make_ndarray(response.outputs["probabilities"])
    cell = IMAGE.astype(np.float32) / np.float32(256)
    np.testing.assert_array_equal(found, np.concatenate([1 - cell, cell], -1))
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"


def test_case32_versions_and_labels(predict):
    old = tf.make_ndarray(predict(BATCH, version=1).outputs["probabilities"])
    assert old[0, 0, 0].tolist() == [0.75, 0.25]
    labelled = tf.make_ndarray(predict(BATCH, label="stable").outputs["probabilities"])
    np.testing.assert_array_equal(labelled, old)
    fails("NOT_FOUND", "Specific(cells, 7)", predict, BATCH, version=7)
    fails("NOT_FOUND", "Latest(no)", predict, BATCH, name="no")
    fails("INVALID_ARGUMENT", "Unrecognized servable version label", predict, BATCH, label="no")
    fails("INVALID_ARGUMENT", "ModelSpec has no name", predict, BATCH, name="")


def test_case33_both_forms_of_tensors(predict):
    content = tf.make_tensor_proto(BATCH["images"])
    assert content.tensor_content
    typed = tf.make_tensor_proto(0.0, shape=(1, 5, 7, 1))
    typed.float_val[:] = BATCH["images"].ravel().tolist()
    first, second = predict({"images": content}), predict({"images": typed})
    assert first.outputs["probabilities"] == second.outputs["probabilities"]
    one_for_all = tf.make_tensor_proto(64.0, shape=(1, 5, 7, 1))
    assert len(one_for_all.float_val) == 1
    found = tf.make_ndarray(predict({"images": one_for_all}).outputs["probabilities"])
    assert (found[..., 1] == np.float32(0.25)).all()


def test_case33_answers_have_typed_fields(predict):
    assert predict(BATCH).outputs["probabilities"].float_val
    classes = predict({"images": IMAGE}, "classes").outputs["classes"]
    assert list(classes.int_val) == (IMAGE.ravel() > 128).astype(int).tolist()


def test_case33_tensors_that_are_none(own, predict):
    short = tf.make_tensor_proto(BATCH["images"])
    short.tensor_content = short.tensor_content[:-4]
    fails("INVALID_ARGUMENT", "", predict, {"images": short})
    few = tf.make_tensor_proto(0.0, shape=(1, 5, 7, 1))
    few.float_val[:] = [1.0] * 36
    fails("INVALID_ARGUMENT", "", predict, {"images": few})
    huge = tf.make_tensor_proto(1.0, shape=(1, 1, 1, 1))
    for axis in (1, 2):
        huge.tensor_shape.dim[axis].size = 2**31
    fails("INVALID_ARGUMENT", "larger than", predict, {"images": huge})
    unknown = tf.make_tensor_proto(1.0)
    unknown.dtype = 99
    fails("INVALID_ARGUMENT", "", predict, {"images": unknown})


def test_case34_output_filter(predict):
    picture = {"image_bytes": [png(IMAGE[0, ..., 0])]}
    response = predict(picture, "segment_bytes", outputs=["height", "width"])
    assert sorted(response.outputs) == ["height", "width"]
    words = "output tensor alias not found in signature: x Outputs expected to be in the set {"
    fails("INVALID_ARGUMENT", words, predict, picture, "segment_bytes", outputs=["x"])
    twice = ["height", "height"]
    fails("INVALID_ARGUMENT", "duplicate", predict, picture, "segment_bytes", outputs=twice)


def test_case35_unknown_signature(predict):
    fails("FAILED_PRECONDITION", 'Serving signature key "no" not found.', predict, BATCH, "no")


def test_case36_extra_and_missing_inputs(predict):
    words = "Sent extra: {more}. Missing but required: {}."
    fails("INVALID_ARGUMENT", words, predict, {**BATCH, "more": 1.0})
    words = "Sent extra: {}. Missing but required: {b}."
    fails("INVALID_ARGUMENT", words, predict, {"a": [1.0]}, "pair")


def test_case37_client_limit_of_4_mib(served, predict):
    large = {"images": np.zeros((1, 700, 900, 1), np.float32)}
    details = fails("RESOURCE_EXHAUSTED", "4194304", predict, large)
    assert "5040" in details
    from keras_unet.serving import GrpcClient

    with GrpcClient("cells", served.grpc) as client:
        assert client.probabilities(large["images"][0]).shape == (700, 900, 2)


def test_case38_deadline(predict):
    large = {"images": np.zeros((1, 500, 900, 1), np.float32)}
    fails("DEADLINE_EXCEEDED", "", predict, large, timeout=0.001)
    assert predict(BATCH).outputs


def test_case39_metadata(channel):
    call = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "cells"
    fails("INVALID_ARGUMENT", "must specify at least one metadata_field", call, request)
    request.metadata_field.append("other")
    fails("INVALID_ARGUMENT", "is not supported", call, request)
    request.metadata_field[:] = ["signature_def"]
    found = get_model_metadata_pb2.SignatureDefMap()
    call(request).metadata["signature_def"].Unpack(found)
    images = found.signature_def["serving_default"].inputs["images"]
    assert [dim.size for dim in images.tensor_shape.dim] == [-1, -1, -1, 1]
    assert "__saved_model_init_op" in found.signature_def


def test_case40_status(channel):
    call = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "cells"
    rows = call(request).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert sorted((row.version, row.state) for row in rows) == [(1, available), (2, available)]
    request.model_spec.version.value = 1
    assert [row.version for row in call(request).model_version_status] == [1]
    request.model_spec.version.value = 7
    fails("NOT_FOUND", "Could not find version 7 of model cells", call, request)
    request.model_spec.Clear()
    request.model_spec.name = "no"
    fails("NOT_FOUND", "Could not find any versions of model no", call, request)


def test_case41_long_messages_are_truncated(predict):
    many = {f"{'x' * 90}{i}": 1.0 for i in range(30)}
    details = fails("INVALID_ARGUMENT", "...TRUNCATED", predict, {**BATCH, **many})
    assert len(details) == 1024


@pytest.mark.parametrize(
    "shape", [(), (5, 7), (1, 5, 7), (1, 2, 5, 7, 1), (1, 5, 7, 3), (0, 5, 7, 1), (1, 0, 7, 1)]
)
def test_wrong_ranks_and_sizes_do_no_harm(predict, shape):
    fails("INVALID_ARGUMENT", "", predict, {"images": np.zeros(shape, np.float32)})
    fails("INVALID_ARGUMENT", "", predict, {"images": IMAGE})  # uint8 for float32
    fails("INVALID_ARGUMENT", "", predict, {"images": [b"bytes"]})
    assert predict(BATCH).outputs


def test_reload_by_a_client_is_refused(own, channel):
    call = model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest
    fails("UNIMPLEMENTED", "model.config", call, model_management_pb2.ReloadConfigRequest())
