"""Every architecture by name, imported only when it is made."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_unet._arguments import did_you_mean, parameters_of

if TYPE_CHECKING:
    from keras_unet.models.segmentation_model import SegmentationModel

# A new architecture is one new file and one new line here: name -> (module, class).
MODELS = {
    "attention_unet": ("keras_unet.models.attention_unet", "AttentionUNet"),
    "fcn": ("keras_unet.models.fcn", "FCN"),
    "res_unet": ("keras_unet.models.res_unet", "ResUNet"),
    "res_unet_a": ("keras_unet.models.res_unet_a", "ResUNetA"),
    "sliding_window": ("keras_unet.models.sliding_window", "SlidingWindow"),
    "unet": ("keras_unet.models.unet", "UNet"),
    "unet_plus_plus": ("keras_unet.models.unet_plus_plus", "UNetPlusPlus"),
    "vnet": ("keras_unet.models.vnet", "VNet"),
}


def get(identifier: str | type[SegmentationModel]) -> type[SegmentationModel]:
    """The class of an architecture.

    Args:
        identifier: One of `list_models()`, or a class, which is given back.

    Returns:
        The class.

    Raises:
        ValueError: If no architecture has this name; the nearest one is named.

    Example:
        >>> get("unet").__name__
        'UNet'
    """
    if isinstance(identifier, type):
        return identifier
    if identifier not in MODELS:
        known = ", ".join(repr(known) for known in list_models())
        raise ValueError(
            f"there is no such model{did_you_mean(identifier, MODELS)}; there are {known}. "
            f"Received: name={identifier!r}"
        )
    module, cls = MODELS[identifier]
    return getattr(importlib.import_module(module), cls)


def list_models() -> tuple[str, ...]:
    """The names that `create` knows, sorted."""
    return tuple(sorted(MODELS))


def create(name: str, **kwargs: Any) -> SegmentationModel:
    """Makes a model by the name of its architecture.

    Args:
        name: One of `list_models()`.
        **kwargs: Arguments of the architecture's class.

    Returns:
        A Keras model with a `.geometry`, which gives logits in float32.

    Raises:
        ValueError: If no architecture has this name.

    Example:
        >>> model = keras_unet.models.create("unet", num_classes=3, filters=32, padding="same")
    """
    return get(name)(**kwargs)


def arguments(name: str) -> tuple[str, ...]:
    """Names of the arguments that an architecture takes.

    Args:
        name: One of `list_models()`.

    Returns:
        The names of the constructor's parameters, in their order.

    Raises:
        ValueError: If no architecture has this name.
    """
    return tuple(parameters_of(get(name)))


def name_of(model: Any) -> str:
    """The name under which `create` makes a model like this one.

    Args:
        model: A model of this package.

    Returns:
        One of `list_models()`.

    Raises:
        ValueError: If the model is none of this package's architectures.
    """
    made_by = type(model)
    for name, (module, cls) in MODELS.items():
        if (made_by.__module__, made_by.__name__) == (module, cls):
            return name
    raise ValueError(
        f"the model must be one of {list_models()}. Received: a {made_by.__name__}, "
        f"model={getattr(model, 'name', model)!r}"
    )
