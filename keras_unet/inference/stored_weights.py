"""A network of unknown origin is made no larger than the weights that are stored for it."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SPARE = 2**20
"""Bytes beside the weights, such as the seeds of dropout."""


@contextlib.contextmanager
def no_larger_than(file: Path) -> Iterator[None]:
    """Within, a network is refused before it takes more memory than its stored weights tell.

    Twice the bytes of the file are granted, for weights in half precision. Needs TensorFlow;
    with other backends nothing is measured.

    Args:
        file: A `.keras` or `.npz` file with the weights of the network that is made inside.

    Raises:
        ValueError: If the network is larger.
    """
    import keras

    if keras.config.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    with zipfile.ZipFile(file) as archive:
        left = 2 * sum(member.file_size for member in archive.infolist()) + SPARE

    def create(make: Callable[..., Any], **options: Any) -> Any:
        nonlocal left
        left -= _bytes(options["initial_value"])
        if left < 0:
            raise ValueError("too large")
        return make(**options)

    try:
        with tf.variable_creator_scope(create):
            yield
    except Exception as error:
        if left < 0:  # Keras wraps what is raised while it makes layers
            raise ValueError(f"the network is larger than the weights in {file.name}") from error
        raise


def _bytes(value: Any) -> int:
    """What a variable's first value takes; where it is not made yet, nothing is allocated."""
    import tensorflow as tf

    if callable(value):
        with tf.Graph().as_default():
            value = value()
    return int(value.shape.num_elements() * value.dtype.size)
