"""A Python function as a stage of a `tf.data.Dataset`, which cannot hang the end of the program."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

_QUIET = 1.0
"""Seconds without a call after which reading ahead has ended."""

_closing = threading.Event()
_last_call = float("-inf")


def python_stage(
    function: Callable[..., tuple[np.ndarray, ...]],
    inputs: Sequence[tf.Tensor],
    outputs: Sequence[tf.TensorSpec],
) -> list[tf.Tensor]:
    """Calls a Python function on the elements of a dataset; cannot hang the end of the program.

    TensorFlow reads ahead in threads of its own. If the interpreter shuts down while one of them
    waits to enter Python, the iterator waits for that thread and the thread for the interpreter,
    for ever. So, before the interpreter goes, calls return at once and the reading ahead is given
    time to end.

    Args:
        function: Takes NumPy arrays and gives one for each of `outputs`.
        inputs: Its arguments.
        outputs: Shapes and dtypes of its results.

    Returns:
        The results, with these static shapes.
    """

    def call(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        global _last_call
        if _closing.is_set():
            results = tuple(np.zeros(o.shape, o.dtype.as_numpy_dtype) for o in outputs)
        else:
            results = function(*arrays)
        _last_call = time.monotonic()
        return results

    results = tf.numpy_function(call, inputs, [spec.dtype for spec in outputs])
    for result, spec in zip(results, outputs, strict=True):
        result.set_shape(spec.shape)
    return results


@atexit.register
def _come_to_rest() -> None:
    """Lets reading ahead end, see `python_stage`."""
    _closing.set()
    while time.monotonic() - _last_call < _QUIET:
        time.sleep(0.05)
