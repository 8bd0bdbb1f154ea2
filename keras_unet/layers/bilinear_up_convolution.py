"""The fixed bilinear up-convolution of fully convolutional networks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_unet.layers.upsampling import Upsampling


def bilinear_kernel(factor: int) -> np.ndarray:
    """Kernel along one axis, `(2 * factor,)` float32: `1 - |r - c| / factor`, c its centre."""
    positions = np.arange(2 * factor) - (factor - 0.5)
    return (1 - np.abs(positions) / factor).astype("float32")


@keras.saving.register_keras_serializable(package="keras_unet")
class BilinearUpConvolution(Upsampling):
    """Transposed convolution of stride `factor` whose kernel is fixed to linear interpolation.

    The kernel has twice the size of the stride along each axis and maps every channel to itself;
    beyond the borders the features are zero. It is the same as `Conv2DTranspose` with that kernel,
    without the many zeros between different channels, and of any rank.

    Args:
        factor: Integer >= 1 by which the resolution grows. Defaults to 2.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with 1 to 3 spatial axes; sizes may be `None`.

    Output shape:
        The same with `(size + 1) * factor` for every spatial size; `None` stays `None`.

    Raises:
        ValueError: If `factor` is not a positive integer.

    Example:
        >>> x = np.array([4.0, 8.0])[None, :, None]
        >>> np.asarray(keras_unet.layers.BilinearUpConvolution(2)(x))[0, :, 0]
        array([1., 3., 5., 7., 6., 2.], dtype=float32)

    Reference:
        Long, Shelhamer, Darrell. "Fully Convolutional Networks for Semantic Segmentation."
        CVPR 2015. doi:10.1109/CVPR.2015.7298965
    """

    def _phases(self, x: Any, axis: int) -> list[Any]:
        others = len(x.shape) - 1 - axis
        before = ops.pad(x, [(0, 0)] * axis + [(1, 0)] + [(0, 0)] * others)
        after = ops.pad(x, [(0, 0)] * axis + [(0, 1)] + [(0, 0)] * others)
        rising = bilinear_kernel(self.factor)[: self.factor]
        return [float(w) * after + float(1 - w) * before for w in rising]

    def size_after(self, size: int) -> int:
        """Size of the output along a spatial axis of this size."""
        return (size + 1) * self.factor
