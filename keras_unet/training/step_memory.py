"""Whether a network and a step of its training fit into this machine, before they are tried."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import keras

from keras_unet import models
from keras_unet.errors import UsageError
from keras_unet.inference.memory import sizes_of_tensors
from keras_unet.training.recipe import Recipe

COPIES = 5
"""Of every weight: itself, its average, its gradient and two moments of the optimizer."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_GPU = 256 * 2**30
"""More than a GPU has, which does not tell its memory."""


def check_network(
    recipe: Recipe, input_shape: tuple[int | None, ...], num_outputs: int, limit: int | None
) -> None:
    """Compares the weights of a network with a memory; nothing is allocated.

    Args:
        recipe: The recipe.
        input_shape: `(*spatial, channels)`, None for any size.
        num_outputs: Channels of its logits.
        limit: Bytes; None for no limit.

    Raises:
        UsageError: If the weights and what their training needs of them take more.
    """
    if limit is None or keras.config.backend() != "tensorflow":
        return
    import tensorflow as tf

    with tf.Graph().as_default():  # in which variables have shapes and no values
        options = {**recipe.model, "num_classes": num_outputs}
        network = models.create(**options, input_shape=input_shape)
        weights = sum(math.prod(weight.shape) for weight in network.weights)
    if (needed := 4 * COPIES * weights) > limit:
        names = [
            name for name, value in recipe.model.items() if type(value) is int and name != "margin"
        ]
        values = ", ".join(f"{name}={recipe.model[name]}" for name in names)
        raise UsageError(
            f"the training takes about {size_text(needed)} for {values}; this machine has "
            f"{size_text(limit)}",
            f"lower one of {', '.join(f'model.{name}' for name in names)}",
            f"lower one of {', '.join(f'--model.{name}' for name in names)}",
        )


def check_step(recipe: Recipe, network: keras.Model, tile: Any, limit: int | None) -> None:
    """Compares what a step keeps for its gradients with a memory.

    All activations are counted, in the precision of the run. On two CPU cores a process grew by
    1.2 to 2.6 times that and the weights together.

    Args:
        recipe: The recipe.
        network: Its network.
        tile: Side of the input in pixels, or one per axis.
        limit: Bytes; None for no limit.

    Raises:
        UsageError: If it is more.
    """
    if limit is None:
        return
    rank = len(network.input_shape) - 2
    sides = (tile,) * rank if isinstance(tile, int) else tuple(tile)
    size, precision = recipe.batches.size, recipe.run.precision
    needed = sum(sizes_of_tensors(network, (size, *sides))) // (1 if precision == "float32" else 2)
    if needed > limit:
        pixels = " x ".join(str(side) for side in sides)
        raise UsageError(
            f"a step takes about {size_text(needed)} for {size} tiles of {pixels} pixels with "
            f"{network.name!r}; this machine has {size_text(limit)}",
            "lower batches.size, batches.tile or the size of the model",
            "lower --batch-size, --tile or the size of the model",
        )


def machine_memory() -> int | None:
    """Bytes of memory and swap that this process may have; None where nobody tells."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
    for file in map(Path, _LIMITS):
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            found = min(found, int(text))
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        found = max(found, _GPU * len(tf.config.list_physical_devices("GPU")))
    return found


def size_text(size: int) -> str:
    """A number of bytes in words, such as "24 GB"."""
    power = min(max(len(str(size)) - 1, 0) // 3, 6)
    return f"{size / 1000**power:.3g} {('B', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB')[power]}"
