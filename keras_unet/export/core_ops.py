"""Which operations a SavedModel is made of, and whether every TensorFlow server has them."""

from __future__ import annotations

import os
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
"""Operations that call back into the process that made the graph."""


def operations(version: str | os.PathLike) -> set[str]:
    """Names of the operations in a SavedModel, those in its functions included.

    Args:
        version: Folder with `saved_model.pb`.

    Returns:
        The names, without those of the functions themselves.
    """
    content = saved_model_pb2.SavedModel.FromString((Path(version) / "saved_model.pb").read_bytes())
    found: set[str] = set()
    for meta_graph in content.meta_graphs:
        functions = meta_graph.graph_def.library.function
        found |= {node.op for node in meta_graph.graph_def.node}
        found |= {node.op for function in functions for node in function.node_def}
        found -= {function.signature.name for function in functions}
    return found


def check_core(version: str | os.PathLike) -> None:
    """Raises a `ValueError` if a SavedModel needs more than TensorFlow itself.

    Args:
        version: Folder with `saved_model.pb`.

    Raises:
        ValueError: If there is a Python function, or an operation of an extra library.
    """
    found = operations(version)
    strange = sorted(op for op in found if op in PYTHON or not hasattr(tf.raw_ops, op))
    if strange:
        raise ValueError(
            "a server has TensorFlow's own operations only; build the network of layers that use "
            f"no others and no Python function. Received: {', '.join(strange)}"
        )
