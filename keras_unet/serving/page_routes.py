"""The server's page: its files, what it must know of the model, and how it gets objects."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.serving.contract import ServingError, invalid

if TYPE_CHECKING:
    from keras_unet.serving.loading import LoadedModel
    from keras_unet.serving.models import ModelStore

PAGE = Path(__file__).resolve().parents[1] / "page"
BROWSER_ONLY = ("browser_engine.js",)
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
MAX_OBJECTS = 65535
"""Numbers that the two bytes of the answer can hold."""


def find(name: str) -> Path | None:
    """A file of the page; the empty name is its first one."""
    files = {file.name: file for file in PAGE.iterdir() if file.is_file()}
    return None if name in BROWSER_ONLY else files.get(name or "index.html")


def config(store: ModelStore) -> dict[str, Any]:
    """What the page must know: the name, title and classes of the model that it shows.

    Raises:
        ServingError: NOT_FOUND, if no model takes picture files.
    """
    name, _, about = _shown(store)
    classes = about.get("class_names", [])
    return {
        "engine": "server",
        "model": name,
        "title": f"{name}: {', '.join(classes)}" if classes else name,
        "class_names": classes,
    }


def segment(
    store: ModelStore, contents: bytes, check: Callable[[], object] = lambda: None
) -> bytes:
    """Classes and objects of a picture file, as `Segmenter.predict` finds them.

    The signature `segment_bytes` answers classes only; objects that touch, and the target's
    smallest size, need its probabilities and the target.

    Args:
        store: The models.
        contents: A PNG, JPEG, BMP, GIF or WebP file.
        check: As in `LoadedModel.predict`.

    Returns:
        An RGB PNG of the image's size: red and green are the object's number (low byte, high
        byte), blue is its class.

    Raises:
        ServingError: If the file or the model is not fit, or there are more than 65,535 objects.
    """
    import cv2
    import tensorflow as tf

    from keras_unet import targets
    from keras_unet.inference.preparation import finish
    from keras_unet.serving.loading import plain_message

    _, model, about = _shown(store)
    try:
        decode = _decoder(about["channels"], about.get("max_pixels", 2**26))
        values, peak = decode(tf.constant(contents))
    except tf.errors.OpError as error:
        raise invalid(plain_message(error.message)) from None
    is_unit = about["normalization"]["mode"] == "unit"
    images = values.numpy()[None].astype(np.float32)
    if is_unit:
        images = (images / np.float64(peak)).astype(np.float32)
    answer = model.predict("serving_default", {"images": images}, check=check)
    probabilities = answer["probabilities"][0]
    check()
    target = targets.create(about["target"]["name"], **about["target"]["config"])
    found = finish(target, probabilities)
    if found.instances.max(initial=0) > MAX_OBJECTS:
        raise ServingError("OUT_OF_RANGE", f"more than {MAX_OBJECTS} objects")
    # OpenCV's order is blue, green, red.
    planes = [found.classes, found.instances >> 8, found.instances & 255]
    return cv2.imencode(".png", np.stack(planes, axis=-1).astype(np.uint8))[1].tobytes()


@functools.lru_cache(maxsize=8)
def _decoder(channels: int, max_pixels: int) -> Callable[[Any], tuple[Any, Any]]:
    """`decode_picture` as a graph, whose errors are those of an exported model."""
    import tensorflow as tf

    from keras_unet.export.graph_decoding import decode_picture

    return tf.function(
        lambda contents: decode_picture(contents, channels, max_pixels),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def _shown(store: ModelStore) -> tuple[str, LoadedModel, dict[str, Any]]:
    """The first model that takes picture files and tells its target."""
    for name in store.names:
        try:
            _, model = store.resolve(name)
        except ServingError:
            continue
        if {"segment_bytes", "serving_default", "metadata"} <= set(model.inputs):
            found = model.predict("metadata", {"query": np.array([b""], object)})
            about = json.loads(found["metadata_json"][0])
            if {"target", "normalization", "channels"} <= set(about):
                return name, model, about
    raise ServingError("NOT_FOUND", "the page needs a model of keras-unet that takes pictures")
