"""Batch normalization that is trained by TensorFlow's fused operation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

FUSED_DTYPES = ("float32", "bfloat16", "float16")
"""What the fused operation takes; it computes in float32 inside."""
LEAST_EPSILON = 1.001e-5
"""The fused operation raises a smaller `epsilon` to this."""


@keras.saving.register_keras_serializable(package="keras_unet")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalization, whose training step is a third of the work on TensorFlow.

    Keras casts to float32 and chains elementwise operations, each with a gradient of its own. Here
    a training step on TensorFlow is one fused operation, which computes in float32 too; results
    differ by rounding. Inference, other backends, XLA and everything that the operation cannot do
    (masks, `synchronized`, `renorm`, float64, another axis than the last, an `epsilon` below
    1.001e-5) are Keras's, bit for bit.

    Weights, configuration and the layer's name in weight files are Keras's as well, so either
    class reads what the other one wrote. Weight files address a layer by the name of its class,
    which is why this one has no other.

    Args:
        **kwargs: Those of `keras.layers.BatchNormalization`, such as `momentum` and `epsilon`.

    Input shape:
        `(batch, *spatial, channels)` with any number of spatial axes; sizes may be `None`.

    Output shape:
        The same.

    Example:
        >>> x = np.array([[[1.0], [3.0]]])
        >>> layer = keras_unet.layers.BatchNormalization(momentum=0.5, epsilon=1e-4)
        >>> np.asarray(layer(x, training=True)).round(3)[0, :, 0]
        array([-1.,  1.], dtype=float32)
        >>> np.asarray(layer.moving_mean)
        array([1.], dtype=float32)

    Reference:
        Ioffe, Szegedy. "Batch Normalization: Accelerating Deep Network Training by Reducing
        Internal Covariate Shift." ICML 2015. arXiv:1502.03167
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalizes; in training by the batch's statistics, which it averages for inference."""
        if training and self.trainable and mask is None and self._can_be_fused(inputs):
            return self._fused(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _can_be_fused(self, inputs: Any) -> bool:
        return (
            keras.config.backend() == "tensorflow"
            and keras.backend.standardize_dtype(inputs.dtype) == self.compute_dtype
            and self.compute_dtype in FUSED_DTYPES
            and self.axis in (-1, len(inputs.shape) - 1)
            and self.epsilon >= LEAST_EPSILON
            and not self.synchronized
            and not getattr(self, "renorm", False)  # Keras 3.10 knows none
            and not _compiled_by_xla()
        )

    def _fused(self, inputs: Any) -> Any:
        import tensorflow as tf

        channels = inputs.shape[-1]
        flat = len(inputs.shape) == 4
        outputs, mean, variance, *_ = tf.compat.v1.nn.fused_batch_norm(
            inputs if flat else tf.reshape(inputs, (1, -1, 1, channels)),
            ops.cast(self.gamma, "float32") if self.scale else tf.ones(channels),
            ops.cast(self.beta, "float32") if self.center else tf.zeros(channels),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation's variance is that of the population, n / (n - 1) of the batch's.
        count = tf.cast(tf.size(inputs, tf.int64) // channels, tf.float32)
        for average, value in (
            (self.moving_mean, mean),
            (self.moving_variance, variance * (1.0 - 1.0 / count)),
        ):
            before = ops.cast(average, "float32")
            average.assign(before * self.momentum + value * (1.0 - self.momentum))
        return outputs if flat else tf.reshape(outputs, tf.shape(inputs))


def _compiled_by_xla() -> bool:
    """Whether XLA will compile what is traced now.

    Its variance in the fused operation is E[x^2] - E[x]^2 in float32: wrong, and perhaps negative,
    where a mean is large against the deviation. Keras's operations it fuses itself.
    """
    try:
        import tensorflow as tf
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
    except ImportError:  # no public name tells it; Keras's operations are right everywhere
        return True
    return bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))
