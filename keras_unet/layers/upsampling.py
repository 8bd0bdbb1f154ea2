"""Up-sampling of any rank by a factor, at sizes that are known only when the graph runs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_positive
from keras_unet.layers.spatial import SpatialLayer


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


@keras.saving.register_keras_serializable(package="keras_unet")
class NearestUpsampling(Upsampling):
    """Repeats every pixel `factor` times along each spatial axis.

    As `keras.layers.UpSampling2D(factor)`, of any rank; but there the number of channels is lost in
    a graph of unknown sizes, which TFLite cannot convert.

    Args:
        factor: Integer >= 1 by which each spatial axis grows. Defaults to 2.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with 1 to 3 spatial axes; sizes may be `None`.

    Output shape:
        The same with every spatial size times `factor`; `None` stays `None`.

    Raises:
        ValueError: If `factor` is not a positive integer.

    Example:
        >>> x = np.array([4.0, 8.0])[None, :, None]
        >>> np.asarray(keras_unet.layers.NearestUpsampling(2)(x))[0, :, 0]
        array([4., 4., 8., 8.], dtype=float32)
    """

    def _phases(self, x: Any, axis: int) -> list[Any]:
        return [x] * self.factor


@keras.saving.register_keras_serializable(package="keras_unet")
class BilinearUpsampling(Upsampling):
    """Enlarges all spatial axes by an integer factor with linear interpolation.

    Pixel centres lie at half-integers and the border is extended, as in `tf.image.resize`,
    `keras.layers.UpSampling2D(interpolation="bilinear")` and PyTorch's `align_corners=False`; along
    each axis a pixel of the output is a fixed mean of two neighbours, for factor 2 of weights 1/4
    and 3/4. It is written with slices and sums because Keras's own resizing (versions 3.14 and
    3.15) does not trace with unknown sizes, knows no rank 3, and because channels stay known in the
    graph, which conversions need.

    Args:
        factor: Integer >= 1 by which each spatial axis grows. Defaults to 2.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with 1 to 3 spatial axes; sizes may be `None`.

    Output shape:
        The same with every spatial size times `factor`; `None` stays `None`.

    Raises:
        ValueError: If `factor` is not a positive integer.

    Example:
        >>> x = np.array([0.0, 4.0, 8.0])[None, :, None]
        >>> np.asarray(keras_unet.layers.BilinearUpsampling(2)(x))[0, :, 0]
        array([0., 1., 3., 5., 7., 8.], dtype=float32)
    """

    last_axis_first = True

    def _phases(self, x: Any, axis: int) -> list[Any]:
        def part(start: int | None, stop: int | None) -> Any:
            return x[(slice(None),) * axis + (slice(start, stop),)]

        before = ops.concatenate([part(None, 1), part(None, -1)], axis=axis)
        after = ops.concatenate([part(1, None), part(-1, None)], axis=axis)
        phases = []
        for phase in range(self.factor):
            # Distance of this output's centre from its source pixel's centre, in source pixels.
            shift = (phase + 0.5) / self.factor - 0.5
            neighbour = before if shift < 0 else after
            phases.append((1 - abs(shift)) * x + abs(shift) * neighbour)
        return phases
