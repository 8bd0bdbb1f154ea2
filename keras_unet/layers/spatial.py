"""What layers of images share: shapes axis by axis, configurations, up-sampling by a factor."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_unet._arguments import arguments_of, check_positive


class SpatialLayer(keras.layers.Layer):
    """Base of layers of `(batch, *spatial, channels)` whose attributes are named as arguments."""

    def size_after(self, size: int) -> int:
        """Size of the output along a spatial axis of this size; all axes alike."""
        raise NotImplementedError

    def channels_after(self, channels: int) -> int:
        """Channels of the output."""
        return channels

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape of the output; `None` where a size is not known."""
        batch, *sizes, channels = input_shape
        after = [None if size is None else self.size_after(size) for size in sizes]
        return (batch, *after, self.channels_after(channels))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), **arguments_of(self)}


class Upsampling(SpatialLayer):
    """Base of layers that enlarge one axis after the other.

    Args:
        factor: Integer >= 1 by which each spatial axis grows. Defaults to 2.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Raises:
        ValueError: If `factor` is not a positive integer.
    """

    last_axis_first = False  # the order of the axes decides how sums are rounded

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive(factor=factor)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """Up-samples `inputs`."""
        outputs = inputs
        for axis in range(1, len(inputs.shape) - 1)[:: -1 if self.last_axis_first else 1]:
            phases = self._phases(outputs, axis)
            shape = list(ops.shape(phases[0]))
            shape[axis] = shape[axis] * self.factor
            outputs = ops.reshape(ops.stack(phases, axis=axis + 1), shape)
        return outputs

    def _phases(self, x: Any, axis: int) -> list[Any]:
        """The pixels 0, `factor`, ... along an axis of the output, then 1, `factor + 1`, ..."""
        raise NotImplementedError

    def size_after(self, size: int) -> int:
        """Size of the output along a spatial axis of this size."""
        return size * self.factor
