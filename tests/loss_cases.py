"""Arrays and helpers that the loss tests share. H != W always."""

import keras
import numpy as np
from keras import ops

LN2 = float(np.log(2.0))


def batch(num_classes=3, shape=(2, 3, 5), seed=0):
    """Logits, labels and positive weights."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(*shape, num_classes)).astype("float32") * 2
    labels = rng.integers(0, max(num_classes, 2), size=shape).astype("int32")
    weights = (rng.random(shape) * 5 + 0.1).astype("float32")
    return logits, labels, weights


def softmax(logits):
    logits = np.asarray(logits, "float64")
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def crossentropy(logits, labels):
    """Per-pixel cross-entropy in float64, one channel meaning a sigmoid."""
    if logits.shape[-1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    return -np.log(np.take_along_axis(softmax(logits), labels[..., None], -1))[..., 0]


def number(tensor):
    return float(ops.convert_to_numpy(tensor))


def gradient(loss, y_true, y_pred, sample_weight=None):
    """Gradient with respect to `y_pred` on any backend."""
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        slope = jax.jit(
            jax.grad(lambda p: loss(y_true, p, sample_weight))
        )  # quicker compiled whole
        value = slope(ops.convert_to_tensor(y_pred))
    elif backend == "torch":
        y_pred = ops.convert_to_tensor(y_pred).detach().requires_grad_(True)
        loss(y_true, y_pred, sample_weight).backward()
        value = y_pred.grad
    else:
        import tensorflow as tf

        y_pred = tf.convert_to_tensor(y_pred)
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred, sample_weight)
        value = tape.gradient(value, y_pred)
    return ops.convert_to_numpy(value)


def round_trip(instance):
    """The instance after Keras's own serialization to plain values."""
    import json

    config = json.loads(json.dumps(keras.saving.serialize_keras_object(instance)))
    return keras.saving.deserialize_keras_object(config)
