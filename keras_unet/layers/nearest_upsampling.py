"""Up-sampling by repetition of any rank, at sizes that are known only when the graph runs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_unet")
class NearestUpsampling(keras.layers.Layer):
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

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(factor, int) or factor < 1:
            raise ValueError(f"factor must be a positive integer. Received: factor={factor}")
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """Repeats `inputs` along one axis after the other, the last first."""
        outputs = inputs
        for axis in range(len(inputs.shape) - 2, 0, -1):
            shape = list(ops.shape(outputs))
            shape[axis] = shape[axis] * self.factor
            copies = ops.stack([outputs] * self.factor, axis=axis + 1)
            outputs = ops.reshape(copies, shape)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape after up-sampling; `None` where a size is not known."""
        sizes = [None if size is None else size * self.factor for size in input_shape[1:-1]]
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}
