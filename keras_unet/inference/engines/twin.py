"""A Keras model's network in another precision."""

from __future__ import annotations

from typing import Any

import keras

LOW = ("bfloat16", "float16")
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Precision of a run -> dtype policy of the layers before the head."""


def computes_in(model: keras.Model) -> set[str]:
    """The dtypes in which the layers of a model compute, of layers in layers, too."""
    layers = model._flatten_layers(include_self=False)
    return {layer.compute_dtype for layer in layers if layer.compute_dtype is not None}


def rebuilt(model: keras.Model, policy: str, with_head: bool = True) -> keras.Model:
    """The same network with new weights, whose layers have another dtype policy.

    The head stays in float32: in models of this package by themselves, in others from the last
    layer with weights on.

    Args:
        model: A functional Keras model.
        policy: Name of the dtype policy.
        with_head: Whether the model holds the head. Defaults to True; else all is of the policy.

    Returns:
        A model with as many variables, in the same order.

    Raises:
        TypeError: If the model cannot be built anew from its configuration.
        ValueError: Likewise.
    """
    config = model.get_config()
    if type(model) not in (keras.Model, keras.Sequential) and "layers" not in config:
        config = {**config, "dtype": policy}
        if "changed_layers" in config:
            changed = config["changed_layers"].items()
            config["changed_layers"] = {
                path: {name: value for name, value in one.items() if name != "dtype"}
                for path, one in changed
            }
        return type(model).from_config(config)
    layers = list(model.layers)
    last = max((index for index, layer in enumerate(layers) if layer.weights), default=0)
    head = {id(layer) for layer in layers[last:] if with_head}

    def remade(layer: Any) -> Any:
        own = "float32" if id(layer) in head else policy
        if isinstance(layer, keras.Model):
            return rebuilt(layer, own, with_head=False)
        return type(layer).from_config({**layer.get_config(), "dtype": own})

    return keras.models.clone_model(model, clone_function=remade)


class Twin:
    """A model's network in another precision, run on the model's own variables.

    It is called like a model; later changes of the model's weights are seen.

    Args:
        model: A functional Keras model.
        precision: "float32" or "bfloat16".

    Raises:
        TypeError: If the model cannot be built anew from its configuration.
        ValueError: Likewise.
    """

    def __init__(self, model: keras.Model, precision: str) -> None:
        self.network = rebuilt(model, POLICIES[precision])
        own = {
            id(mine): theirs
            for mine, theirs in zip(self.network.variables, model.variables, strict=True)
        }
        self.trainable_variables = [own[id(one)] for one in self.network.trainable_variables]
        self.non_trainable_variables = [
            own[id(one)] for one in self.network.non_trainable_variables
        ]

    def __call__(self, images: Any, training: bool = False) -> Any:
        """Runs the network on what the variables hold now."""
        trainable = [variable.value for variable in self.trainable_variables]
        rest = [variable.value for variable in self.non_trainable_variables]
        return self.stateless_call(trainable, rest, images, training=training)[0]

    def stateless_call(self, *args: Any, **kwargs: Any) -> Any:
        """See `keras.Model.stateless_call`."""
        return self.network.stateless_call(*args, **kwargs)
