"""The fixed bilinear up-convolution of fully convolutional networks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def bilinear_kernel(factor: int) -> np.ndarray:
    """Kernel along one axis, `(2 * factor,)` float32: `1 - |r - c| / factor`, c its centre."""
    positions = np.arange(2 * factor) - (factor - 0.5)
    return (1 - np.abs(positions) / factor).astype("float32")


@keras.saving.register_keras_serializable(package="keras_unet")
class BilinearUpConvolution(keras.layers.Layer):
    """Transposed convolution of stride `factor` whose kernel is fixed to linear interpolation.

    The kernel has twice the size of the stride along each axis and maps every channel to itself;
    beyond the borders the features are zero. It is the same as `Conv2DTranspose` with that kernel,
    without the many zeros between different channels, and of any rank.

    Args:
        factor: Integer >= 1 by which the resolution grows.
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

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(factor, int) or factor < 1:
            raise ValueError(f"factor must be a positive integer. Received: factor={factor}")
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """Interpolates along one axis after the other."""
        outputs = inputs
        for axis in range(1, len(inputs.shape) - 1):
            outputs = self._along(outputs, axis)
        return outputs

    def _along(self, x: Any, axis: int) -> Any:
        others = len(x.shape) - 1 - axis
        before = ops.pad(x, [(0, 0)] * axis + [(1, 0)] + [(0, 0)] * others)
        after = ops.pad(x, [(0, 0)] * axis + [(0, 1)] + [(0, 0)] * others)
        rising = bilinear_kernel(self.factor)[: self.factor]
        phases = [float(w) * after + float(1 - w) * before for w in rising]
        shape = list(ops.shape(after))
        shape[axis] = shape[axis] * self.factor
        return ops.reshape(ops.stack(phases, axis=axis + 1), shape)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape after up-sampling; `None` where a size is not known."""
        sizes = [None if size is None else (size + 1) * self.factor for size in input_shape[1:-1]]
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}
