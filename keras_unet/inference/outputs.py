"""What a network's last layer gives, and the way from there to a target's maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from keras_unet.targets.base import Target

PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")
LOGITS = ("linear", "log_softmax")
KEEPING = (
    "StartCrop",
    "CenterCrop",
    "Identity",
    "Dropout",
    "SpatialDropout",
    "Cropping",
    "GetItem",
)
"""Beginnings of the names of operations that leave every value, or only take some of them."""


def gives_logits(model: Any) -> bool | None:
    """Whether a Keras model ends in logits; None if its last operation does not tell.

    Looks at the operation that makes the output, through crops and into models of models.
    """
    try:
        tensor = model.outputs[0]
        operation, node, index = _history(tensor)
    except (AttributeError, IndexError, TypeError):
        return None
    return _kind(operation, node, index, tensor)


def _history(tensor: Any) -> tuple[Any, int, int]:
    operation, node, index = tensor._keras_history
    return operation, node, index


def _kind(operation: Any, node: int, index: int, tensor: Any) -> bool | None:
    name = type(operation).__name__
    inner = getattr(operation, "outputs", None)
    if inner and hasattr(operation, "operations"):  # a model in the model
        return _kind(*_history(inner[index]), inner[index])
    last = len(tensor.shape) - 1
    if name in ("Softmax", "LogSoftmax") and getattr(operation, "axis", -1) not in (-1, last):
        return None
    if name in ("Softmax", "Sigmoid", "HardSigmoid"):
        return False
    if name == "LogSoftmax":
        return True
    if name.startswith(KEEPING) or name == "Average":
        sources = operation._inbound_nodes[node].input_tensors
        sources = sources if name == "Average" else sources[:1]
        kinds = {_kind(*_history(source), source) for source in sources}
        return kinds.pop() if len(kinds) == 1 else None
    activation = getattr(operation, "activation", None)
    if activation is None:
        return None
    function = getattr(activation, "__name__", "")
    if function == "linear" and name == "Activation":
        (source,) = operation._inbound_nodes[node].input_tensors
        return _kind(*_history(source), source)
    return False if function in PROBABILITIES else True if function in LOGITS else None


def activated(target: Target, outputs: Any, are_logits: bool, ops: Any = np) -> Any:
    """The target's maps of a network's outputs.

    Args:
        target: The target.
        outputs: `(..., K)`, an array of the library that `ops` is of.
        are_logits: Whether they are logits, else what the target's `activate` would give.
        ops: `numpy` or `keras.ops`. Defaults to `numpy`.

    Returns:
        `(..., target.num_outputs)` float32.
    """
    outputs = target.widen(outputs, are_logits, ops)
    return target.activate(outputs, ops) if are_logits else outputs
