"""What layers of images share: shapes axis by axis, and configurations."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet._arguments import arguments_of


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
