"""How a network takes images of any size: mirrored up to a legal one, the logits cut back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras

from keras_unet.geometry.base import Geometry
from keras_unet.layers.center_crop import StartCrop
from keras_unet.layers.mirror_padding import MirrorPadding

_CHECKS_ONLY: ContextVar[bool] = ContextVar("checks_only", default=False)


class ArgumentsAreFine(Exception):
    """Ends a constructor that was called for its checks only."""


@contextlib.contextmanager
def checks_only() -> Iterator[None]:
    """Within it a constructor checks its arguments and ends where it would make its first layer."""
    token = _CHECKS_ONLY.set(True)
    try:
        yield
    except ArgumentsAreFine:
        pass
    finally:
        _CHECKS_ONLY.reset(token)


def image_input(input_shape: tuple[int | None, ...], geometry: Geometry, dtype: Any) -> Any:
    """The network's input, and the image at a size that the network takes.

    With "same" padding the image is mirrored at the end of each axis up to a multiple of the
    geometry's stride, unless all sizes are known and are such multiples.

    Args:
        input_shape: `(*spatial, channels)`, None for any size.
        geometry: The network's geometry.
        dtype: Dtype policy of the padding.

    Returns:
        `(inputs, image)`, the same tensor where nothing needs padding.

    Raises:
        ValueError: If a known size is none that a valid network takes.
    """
    if _CHECKS_ONLY.get():
        raise ArgumentsAreFine
    inputs = keras.Input(input_shape, name="image")
    sizes = input_shape[:-1]
    if geometry.padding == "valid":
        for axis, size in enumerate(sizes):
            if size is not None:
                geometry.check(size, name=f"input_shape[{axis}]")
        return inputs, inputs
    if all(size is not None and geometry.is_legal(size) for size in sizes):
        return inputs, inputs
    return inputs, MirrorPadding(multiple=geometry.stride, name="mirror", dtype=dtype)(inputs)


def cut_back(logits: Any, inputs: Any, image: Any, name: str = "crop") -> Any:
    """The logits at the size of the input, where `image_input` has padded it."""
    if image is inputs:
        return logits
    return StartCrop(name=name, dtype="float32")([logits, inputs])
