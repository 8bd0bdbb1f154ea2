"""Activations, written once for every engine: NumPy, `keras.ops`, and what an export traces."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
Ops = Any
"""`numpy`, `keras.ops`, or something with the same functions. One whose attribute `is_plain` is
true has a `softmax` and a `sigmoid` of its own and nothing of 64 bits, as phones have it."""


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
