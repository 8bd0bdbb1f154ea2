"""The shortcut without weights of a residual unit whose channels or resolution change."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_one_of, check_positive
from keras_unet.layers.spatial import SpatialLayer

FILLS = ("zeros", "repeat")


@keras.saving.register_keras_serializable(package="keras_unet")
class ChannelShortcut(SpatialLayer):
    """Gives features another number of channels and another resolution, without any weights.

    Every `strides`-th pixel is kept along each spatial axis, from pixel 0 on. Of too many channels
    the first ones are kept; missing ones are zeros (option A of He et al.), or the given channels
    over again (as V-Net adds its one-channel input to 16 feature maps).

    Args:
        filters: Channels of the output.
        strides: Step in pixels. Defaults to 1.
        fill: "zeros" or "repeat". Defaults to "zeros".
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with 1 to 3 spatial axes; sizes may be `None`.

    Output shape:
        `(batch, *spatial, filters)`, each spatial size divided by `strides` and rounded up.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> x = np.array([[[1.0, 2.0]]])
        >>> np.asarray(keras_unet.layers.ChannelShortcut(5, fill="repeat")(x))[0, 0]
        array([1., 2., 1., 2., 1.], dtype=float32)

    Reference:
        He, Zhang, Ren, Sun. "Deep Residual Learning for Image Recognition." CVPR 2016.
        doi:10.1109/CVPR.2016.90
    """

    def __init__(self, filters: int, strides: int = 1, fill: str = "zeros", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides)
        check_one_of("fill", fill, FILLS)
        self.filters, self.strides, self.fill = filters, strides, fill

    def call(self, inputs: Any) -> Any:
        """Picks pixels and channels."""
        step = slice(None, None, self.strides)
        x = inputs[(slice(None), *[step] * (len(inputs.shape) - 2))]
        missing = self.filters - x.shape[-1]
        if missing <= 0:
            return x[..., : self.filters]
        if self.fill == "zeros":
            return ops.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, missing)])
        copies = -(-self.filters // x.shape[-1])
        return ops.concatenate([x] * copies, axis=-1)[..., : self.filters]

    def size_after(self, size: int) -> int:
        """Size of the output along a spatial axis of this size."""
        return -(-size // self.strides)

    def channels_after(self, channels: int) -> int:
        """Channels of the output."""
        return self.filters
