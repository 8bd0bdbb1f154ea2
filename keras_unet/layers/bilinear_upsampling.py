"""Bilinear up-sampling of any rank, at sizes that are known only when the graph runs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_unet")
class BilinearUpsampling(keras.layers.Layer):
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

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(factor, int) or factor < 1:
            raise ValueError(f"factor must be a positive integer. Received: factor={factor}")
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """Up-samples `inputs` along one axis after the other, the last first."""
        outputs = inputs
        for axis in range(len(inputs.shape) - 2, 0, -1):
            outputs = self._along(outputs, axis)
        return outputs

    def _along(self, x: Any, axis: int) -> Any:
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
        shape = list(ops.shape(x))
        shape[axis] = shape[axis] * self.factor
        return ops.reshape(ops.stack(phases, axis=axis + 1), shape)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape after up-sampling; `None` where a size is not known."""
        sizes = [None if size is None else size * self.factor for size in input_shape[1:-1]]
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}
