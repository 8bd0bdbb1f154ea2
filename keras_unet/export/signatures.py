"""The signatures of an exported segmenter, each guarded before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_unet.export.graph import SegmenterGraph
from keras_unet.export.graph_decoding import decode_checked
from keras_unet.export.picture_headers import check_pictures

AXES = {1: "W", 2: "H, W", 3: "D, H, W"}
Function = Callable[..., dict[str, tf.Tensor]]


def make_signatures(
    graph: SegmenterGraph, metadata: str, max_pixels: int, probability_png: bool
) -> dict[str, Any]:
    """TensorFlow functions by their names in the SavedModel.

    `segment_bytes` is there for flat images of one or three channels only, for no core operation
    decodes others. A batch goes through the network image by image, so that each result is that of
    the image alone and memory does not grow with the batch.

    Args:
        graph: The segmenter.
        metadata: What the signature `metadata` answers.
        max_pixels: Largest number of pixels of a batch, of arrays or of files together.
        probability_png: Whether `segment_bytes` also gives the foreground's probability.

    Returns:
        `tf.function`s, each with one input signature.
    """
    shape = (None,) * (graph.rank + 1) + (graph.channels,)
    floats = tf.TensorSpec(shape, tf.float32, name="images")
    bytes_of = tf.TensorSpec((None,), tf.string, name="image_bytes")
    found = {
        "serving_default": _function(_serving_default(graph, max_pixels), floats),
        "classes": _function(
            _classes(graph, max_pixels), tf.TensorSpec(shape, tf.uint8, name="images")
        ),
        "metadata": _function(_metadata(metadata), tf.TensorSpec((None,), tf.string, name="query")),
    }
    if graph.rank == 2 and graph.channels in (1, 3):
        segment = _segment_bytes(graph, max_pixels, probability_png)
        found["segment_bytes"] = _function(segment, bytes_of)
    return found


def _function(function: Function, spec: tf.TensorSpec) -> Any:
    return tf.function(function, input_signature=[spec], autograph=False)


def _serving_default(graph: SegmenterGraph, max_pixels: int) -> Function:
    def serving_default(images: tf.Tensor) -> dict[str, tf.Tensor]:
        images = _guarded(images, graph, max_pixels)
        images = tf.debugging.check_numerics(images, "images must be finite")
        if graph.normalization.mode == "unit":
            images = _in_unit_range(images)
        return {"probabilities": _each(graph, images, graph.probabilities, graph.outputs)}

    return serving_default


def _classes(graph: SegmenterGraph, max_pixels: int) -> Function:
    def one(image: tf.Tensor) -> tf.Tensor:
        peak = tf.constant(255.0, tf.float64)
        return graph.classes(graph.probabilities(tf.cast(image, tf.int32), peak))

    def classes(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"classes": _each(graph, _guarded(images, graph, max_pixels), one, None)}

    return classes


def _each(
    graph: SegmenterGraph, images: tf.Tensor, function: Callable, outputs: int | None
) -> tf.Tensor:
    """The function of every image, one after the other."""
    shape = (None,) * graph.rank
    spec = (
        tf.TensorSpec(shape, tf.uint8)
        if outputs is None
        else tf.TensorSpec((*shape, outputs), tf.float32)
    )
    return tf.map_fn(function, images, fn_output_signature=spec, parallel_iterations=1)


def _segment_bytes(graph: SegmenterGraph, max_pixels: int, probability_png: bool) -> Function:
    def one(contents: tf.Tensor) -> dict[str, tf.Tensor]:
        values, peak = decode_checked(contents, graph.channels)
        found = graph.probabilities(values, peak)
        shape = tf.shape(found)
        answer = {
            "mask_png_bytes": tf.io.encode_png(graph.classes(found)[..., None]),
            "height": shape[0],
            "width": shape[1],
        }
        if probability_png:
            grey = tf.cast(tf.round(255 * graph.foreground(found)), tf.uint8)
            answer["probability_png_bytes"] = tf.io.encode_png(grey[..., None])
        return answer

    names = ["mask_png_bytes", *(["probability_png_bytes"] if probability_png else [])]
    spec = {name: tf.TensorSpec((), tf.string) for name in names}
    spec |= {name: tf.TensorSpec((), tf.int32) for name in ("height", "width")}

    def segment_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        image_bytes = _not_empty(tf.ensure_shape(image_bytes, [None]), "image_bytes")
        image_bytes = check_pictures(image_bytes, max_pixels)
        return tf.map_fn(one, image_bytes, fn_output_signature=spec, parallel_iterations=1)

    return segment_bytes


def _metadata(metadata: str) -> Function:
    def describe(query: tf.Tensor) -> dict[str, tf.Tensor]:
        query = _not_empty(tf.ensure_shape(query, [None]), "query")
        return {"metadata_json": tf.fill(tf.shape(query), tf.constant(metadata))}

    return describe


# === Guards ===
# The C++ loader checks neither rank nor shape, and some kernels abort the process for a wrong rank.


def _guarded(images: tf.Tensor, graph: SegmenterGraph, max_pixels: int) -> tf.Tensor:
    """The batch if it can be segmented; what is computed from it waits for the checks."""
    layout = f"images must be (batch, {AXES[graph.rank]}, {graph.channels})"
    images = tf.ensure_shape(images, [None] * (graph.rank + 1) + [graph.channels])
    images = _not_empty(images, layout)
    pixels = tf.size(images, tf.int64) // graph.channels
    limit = tf.debugging.assert_less_equal(
        pixels,
        tf.constant(max_pixels, tf.int64),
        f"a batch may have {max_pixels} pixels; send fewer or smaller images, or export with a "
        "larger max_pixels (`keras-unet serve --max-pixels`)",
    )
    with tf.control_dependencies([limit]):
        return tf.identity(images)


def _not_empty(values: tf.Tensor, layout: str) -> tf.Tensor:
    check = tf.debugging.assert_positive(tf.shape(values), f"{layout} without an axis of length 0")
    with tf.control_dependencies([check]):
        return tf.identity(values)


def _in_unit_range(images: tf.Tensor) -> tf.Tensor:
    message = "float images must lie in 0..1 for this model; divide them, or send uint8 images"
    checks = [
        tf.debugging.assert_greater_equal(tf.reduce_min(images), 0.0, message),
        tf.debugging.assert_less_equal(tf.reduce_max(images), 1.0, message),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(images)
