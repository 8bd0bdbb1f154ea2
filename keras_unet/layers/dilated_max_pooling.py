"""Max pooling at every pixel, with the pixels of a window apart: a sliding window's pooling."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_positive
from keras_unet.layers.spatial import SpatialLayer


@keras.saving.register_keras_serializable(package="keras_unet")
class DilatedMaxPooling(SpatialLayer):
    """Maximum of `pool_size` pixels along each axis that are `dilation` apart, at stride 1.

    A network with poolings of stride 2, run at every position of an image, computes the same
    numbers again and again. With this layer in place of the poolings, and the convolutions after it
    dilated twice as much, it computes each of them once. Nothing is padded. Keras's own pooling
    knows no dilation.

    Args:
        pool_size: Pixels of a window along each axis. Defaults to 2.
        dilation: Distance of these pixels. Defaults to 1.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with 1 to 3 spatial axes; sizes may be `None`.

    Output shape:
        The same with every spatial size smaller by `(pool_size - 1) * dilation`.

    Raises:
        ValueError: If an argument is no positive integer.

    Example:
        >>> x = np.array([1.0, 5.0, 2.0, 3.0])[None, :, None]
        >>> np.asarray(keras_unet.layers.DilatedMaxPooling(2, dilation=2)(x))[0, :, 0]
        array([2., 5.], dtype=float32)
    """

    def __init__(self, pool_size: int = 2, dilation: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive(pool_size=pool_size, dilation=dilation)
        self.pool_size, self.dilation = pool_size, dilation

    def call(self, inputs: Any) -> Any:
        """Takes the maxima, along one axis after the other."""
        outputs, lost = inputs, (self.pool_size - 1) * self.dilation
        for axis in range(1, len(inputs.shape) - 1):
            parts = []
            for number in range(self.pool_size):
                first = number * self.dilation
                last = first - lost or None  # counted from the end, which may be unknown
                parts.append(outputs[(slice(None),) * axis + (slice(first, last),)])
            outputs = parts[0]
            for part in parts[1:]:
                outputs = ops.maximum(outputs, part)
        return outputs

    def size_after(self, size: int) -> int:
        """Size of the output along a spatial axis of this size."""
        return size - (self.pool_size - 1) * self.dilation
