"""Up-sampling by repetition of any rank, at sizes that are known only when the graph runs."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet.layers.spatial import Upsampling


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
