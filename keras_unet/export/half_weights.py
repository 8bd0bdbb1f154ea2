"""Weights of an ONNX network in half precision, where that changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

SMALLEST = 64
"""Numbers from which on an array is worth a cast."""


def store_in_half(network: Any) -> None:
    """Stores float32 weights that half precision holds exactly in it, each cast back to float32.

    The network computes the same numbers; engines cast once, when they open it.

    Args:
        network: An `onnx.ModelProto`, which is changed.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in network.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < SMALLEST or not np.array_equal(half.astype(np.float32), values):
            continue
        name, stored = weight.name, f"{weight.name}/half"
        weight.CopyFrom(numpy_helper.from_array(half, stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *network.graph.node]
    del network.graph.node[:]
    network.graph.node.extend(nodes)
