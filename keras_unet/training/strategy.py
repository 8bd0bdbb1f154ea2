"""Several GPUs by name: `tf.distribute.MirroredStrategy` for recipes and scripts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import keras

from keras_unet._arguments import check_one_of
from keras_unet.training.recipe_groups import STRATEGIES

if TYPE_CHECKING:
    import tensorflow as tf


def make_strategy(
    name: str | None = None, devices: Sequence[str] | None = None
) -> tf.distribute.Strategy | None:
    """Makes a distribution strategy by its name; the same one for the same devices.

    The model, its optimizer and its metrics are created under `strategy.scope()`; each step's
    batch is divided among the devices, so the batch size is the *global* one, and with this
    package's losses the gradients are those of one device with that batch.

    Args:
        name: "default" (or "none", or None) for a single device, or "mirrored" for a copy of the
            model on each device. Defaults to None.
        devices: Names such as "GPU:0", for "mirrored" only. Defaults to None: all visible GPUs,
            without a GPU all logical CPU devices. One device is fine.

    Returns:
        A `tf.distribute.MirroredStrategy`, or None for the default.

    Raises:
        ValueError: If the name is unknown, a device is not there, `devices` are given without
            "mirrored", or the backend is not TensorFlow.

    Example:
        >>> strategy = make_strategy("mirrored")
        >>> with strategy.scope():
        ...     model = keras_unet.models.UNet(filters=4, depth=2)
        ...     model.compile("adam", keras_unet.losses.WeightedCrossentropy())
        >>> batch_size = 4 * strategy.num_replicas_in_sync  # 4 on each device
    """
    if name is None or name == "none":
        name = "default"
    check_one_of("strategy", name, STRATEGIES)
    if name == "default":
        if devices is not None:
            raise ValueError(
                'devices need strategy="mirrored"; one device is chosen with tf.device or '
                f"CUDA_VISIBLE_DEVICES. Received: devices={devices}"
            )
        return None
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            'strategy="mirrored" is tf.distribute and needs the TensorFlow backend. On JAX use '
            "keras.distribution.set_distribution(keras.distribution.DataParallel()). "
            f"Received: strategy={name!r} on the {keras.config.backend()} backend"
        )
    import tensorflow as tf

    visible = [_short(device.name) for device in tf.config.list_logical_devices()]
    if devices is None:
        gpus = [device for device in visible if device.startswith("GPU")]
        devices = gpus or [device for device in visible if device.startswith("CPU")]
    missing = [device for device in devices if _short(device) not in visible]
    if missing or not devices:
        raise ValueError(
            f"devices must be some of the visible {visible}. Received: devices={list(devices)}"
        )
    return _mirrored(tuple(_short(device) for device in devices))


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One strategy a set of devices for the whole process.

    Every new strategy counts its collective operations from the same number, and TensorFlow
    remembers their shapes: a second one, for another network, would fail or wait for ever.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(devices))


def strategy_scope(strategy: tf.distribute.Strategy | str | None) -> AbstractContextManager:
    """The scope to create model, optimizer and metrics in; does nothing for the default.

    Args:
        strategy: A strategy, a name for `make_strategy`, or None.

    Example:
        >>> with strategy_scope("mirrored"):
        ...     model = keras_unet.models.UNet(filters=4, depth=2)
    """
    if strategy is None or isinstance(strategy, str):
        strategy = make_strategy(strategy)
    return nullcontext() if strategy is None else strategy.scope()


def _short(device: str) -> str:
    """`/device:GPU:0`, `/gpu:0` and `GPU:0` -> `GPU:0`."""
    kind, _, index = device.rsplit("/", 1)[-1].upper().removeprefix("DEVICE:").partition(":")
    return f"{kind}:{index or 0}"
