"""Sums and means over the global batch of `tf.distribute`, the plain ones everywhere else.

Under a strategy with R replicas Keras adds the replicas' gradients up, and reports R times the
mean of their losses. A loss that gives every replica the value `L / R` of the global loss L, with
the gradient of this replica's own terms of L, is therefore trained and reported as on one device
with the global batch, however unequal the replicas' weights or numbers of images are; that pair is
called the *share* here. In a custom loop `strategy.reduce("SUM", losses, axis=None)` gives L.

Two replicas and the loss "mean of the pixels' terms": the first has 3 pixels with terms 1, 2 and 3,
the second has one with term 10. The loss is L = (6 + 10) / 4 = 4, not the mean of the means 2 and
10. `share_of_mean(6, 3)` on the first and `share_of_mean(10, 1)` on the second are both 4 / 2 = 2,
whose sum is L; their gradients are those of 6 / 4 and of 10 / 4, whose sum is that of L.

Outside a replica (one device, another backend, a symbolic build) the share is L itself. On JAX,
`keras.distribution` needs none of this: there a sum is already one over the global batch.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any


def num_replicas() -> int:
    """Replicas that run the calling code side by side; 1 outside `tf.distribute`."""
    if keras.config.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def _all_reduce(values: list[Tensor]) -> list[Tensor]:
    """Sums over the replicas, one collective for the list; carries no gradient."""
    import tensorflow as tf

    values = [ops.stop_gradient(value) for value in values]
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def _with_value(tensor: Tensor, value: Tensor) -> Tensor:
    """`value` with the gradient of `tensor`."""
    return tensor + ops.stop_gradient(value - tensor)


def global_sum(values: Tensor) -> Tensor:
    """`values` added up over the replicas, with the gradient of this replica's own part."""
    return values if num_replicas() == 1 else _with_value(values, _all_reduce([values])[0])


def share_of_sum(part: Tensor) -> Tensor:
    """Share of the loss that is the sum of the replicas' scalar `part`s."""
    replicas = num_replicas()
    return part if replicas == 1 else _with_value(part, _all_reduce([part])[0] / replicas)


def share_of_mean(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Share of the loss `sum of numerators / sum of denominators`; 0 where the latter is 0.

    The denominators (counts, weights) must not depend on what is trained.
    """
    replicas = num_replicas()
    if replicas == 1:
        return numerator / _nonzero(denominator)
    numerators, denominators = _all_reduce([numerator, denominator])
    denominators = _nonzero(denominators)
    return _with_value(numerator / denominators, numerators / denominators / replicas)


def share_of_common(loss: Tensor) -> Tensor:
    """Share of a loss that every replica has computed in full, from `global_sum`s."""
    replicas = num_replicas()
    return loss if replicas == 1 else _with_value(loss, loss / replicas)


def share_of_images(losses: Tensor, weights: Tensor, per_image: bool) -> Tensor:
    """Share of the mean over the images that have any weight, or of one loss for the batch."""
    if not per_image:
        return share_of_common(losses)
    counted = ops.any(weights != 0, axis=tuple(range(1, len(weights.shape))))
    counted = ops.cast(counted, "float32")
    return share_of_mean(ops.sum(losses * counted), ops.sum(counted))


def _nonzero(denominator: Tensor) -> Tensor:
    """The denominator, 1 where it is zero (the numerator is zero then); NaN stays NaN."""
    return ops.where(denominator == 0, ops.ones_like(denominator), denominator)
