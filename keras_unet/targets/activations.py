"""Activations, written once for every engine: NumPy, `keras.ops`, and what an export traces."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
Ops = Any
"""`numpy`, `keras.ops`, or something with the same functions. One whose attribute `is_plain` is
true has a `softmax` and a `sigmoid` of its own and nothing of 64 bits, as phones have it."""

_SUMMED_IN_ORDER = 8
"""NumPy adds fewer numbers than this along an axis one after the other, more of them in pairs."""

_BLOCK = 2**14
"""Pixels that are computed at a time: their float64 planes stay in the cache."""


def cast(values: Array, dtype: str, ops: Ops) -> Array:
    """The values in another dtype."""
    return values.astype(dtype) if ops is np else ops.cast(values, dtype)


def softmax(logits: Array, ops: Ops = np) -> Array:
    """Soft-max over the last axis, float32; finite for logits of any size.

    Computed in float64, so that libraries with different exponential functions round it to the
    same float32.
    """
    if getattr(ops, "is_plain", False):
        return ops.softmax(logits)
    if ops is np and logits.shape[-1] < _SUMMED_IN_ORDER:
        return _softmax_of_planes(logits)
    exact = cast(logits, "float64", ops)
    powers = ops.exp(exact - ops.max(exact, axis=-1, keepdims=True))
    return cast(powers / ops.sum(powers, axis=-1, keepdims=True), "float32", ops)


def sigmoid(logits: Array, ops: Ops = np) -> Array:
    """Logistic function, float32; it can neither overflow nor cancel. In float64 as `softmax`."""
    if getattr(ops, "is_plain", False):
        return ops.sigmoid(logits)
    exact = cast(logits, "float64", ops)
    small = ops.exp(-ops.abs(exact))
    return cast(ops.where(exact < 0, small, ops.ones_like(small)) / (1 + small), "float32", ops)


def highest(values: Array, ops: Ops = np) -> tuple[Array, Array]:
    """The largest value along the last axis and the (first) index where it is, int32."""
    if ops is not np or values.shape[-1] == 0:
        return ops.max(values, axis=-1), cast(ops.argmax(values, axis=-1), "int32", ops)
    top, where = values[..., 0], np.zeros(values.shape[:-1], np.int32)
    for index in range(1, values.shape[-1]):  # NumPy reduces a short last axis slowly
        plane = values[..., index]
        where = np.where(plane > top, np.int32(index), where)
        top = np.maximum(top, plane)
    return top, where


def _softmax_of_planes(logits: np.ndarray) -> np.ndarray:
    """Soft-max with one plane per class: loops over many pixels in place of over few classes."""
    pixels = logits.reshape(-1, logits.shape[-1])
    result = np.empty(pixels.shape, np.float32)
    for start in range(0, len(pixels), _BLOCK):
        block = slice(start, start + _BLOCK)
        planes = pixels[block].T.astype(np.float64, order="C")
        planes -= planes.max(axis=0)
        np.exp(planes, out=planes)
        planes /= planes.sum(axis=0)
        result[block] = planes.T
    return result.reshape(logits.shape)
