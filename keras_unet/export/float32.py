"""A model of mixed precision as one of float32, with the same weights."""

from __future__ import annotations

from typing import Any

import keras


def float32_model(model: keras.Model) -> keras.Model:
    """The model itself if it computes in float32, otherwise a float32 twin with its weights.

    Mixed precision keeps its weights in float32, so nothing is lost: the twin computes what the
    network would have computed without rounding in between.

    Args:
        model: A functional Keras model.

    Returns:
        A model whose layers all compute in float32.

    Raises:
        ValueError: If the model cannot be built anew from its configuration.
    """
    layers = model._flatten_layers(include_self=False)
    if all(layer.compute_dtype in ("float32", None) for layer in layers):
        return model
    try:
        config = model.get_config()
        if type(model) in (keras.Model, keras.Sequential) or "layers" in config:
            twin = keras.models.clone_model(model, clone_function=_as_float32)
        else:
            config = {**config, "dtype": "float32"}
            for changed in config.get("changed_layers", {}).values():
                changed.pop("dtype", None)
            twin = type(model).from_config(config)
        twin.set_weights(model.get_weights())
    except (TypeError, ValueError) as error:
        raise ValueError(
            "a model of mixed precision is exported as float32, but this one cannot be built anew "
            f"({error}); build it with dtype='float32' and copy its weights with set_weights. "
            f"Received: model={model.name!r}"
        ) from error
    return twin


def _as_float32(layer: Any) -> Any:
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})
