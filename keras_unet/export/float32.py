"""A model of mixed precision as one of float32, with the same weights."""

from __future__ import annotations

import keras

from keras_unet.inference.engines.twin import computes_in, rebuilt


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
    if computes_in(model) <= {"float32"}:
        return model
    try:
        twin = rebuilt(model, "float32")
        twin.set_weights(model.get_weights())
    except (TypeError, ValueError) as error:
        raise ValueError(
            "a model of mixed precision is exported as float32, but this one cannot be built anew "
            f"({error}); build it with dtype='float32' and copy its weights with set_weights. "
            f"Received: model={model.name!r}"
        ) from error
    return twin
