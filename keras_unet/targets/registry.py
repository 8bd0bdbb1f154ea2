"""Targets by the name that recipes, run folders and exported files use."""

from __future__ import annotations

import importlib
from typing import Any

from keras_unet._arguments import did_you_mean
from keras_unet.targets.base import Target

# A target of this package is one new file and one new line here; others are known by being defined.
MODULES = {
    "classes": "keras_unet.targets.classes",
    "multitask": "keras_unet.targets.multitask",
    "seeds": "keras_unet.targets.seeds",
}


def list_targets() -> tuple[str, ...]:
    """The names that `get` knows, sorted: this package's, and those defined elsewhere so far."""
    return tuple(sorted({*MODULES, *Target.known}))


def get(identifier: str | type[Target]) -> type[Target]:
    """The class of a target.

    Args:
        identifier: One of `list_targets()`, or the class itself.

    Returns:
        The class.

    Raises:
        ValueError: If no target has this name.

    Example:
        >>> get("seeds").needs_instances
        True
    """
    if isinstance(identifier, type) and issubclass(identifier, Target):
        return identifier
    if identifier in MODULES:
        importlib.import_module(MODULES[identifier])
    if identifier not in Target.known:
        hint = did_you_mean(identifier, list_targets())
        raise ValueError(
            f"target must be one of {list(list_targets())}{hint}; one of your own is known once "
            f"its module is imported. Received: {identifier!r}"
        )
    return Target.known[identifier]


def create(name: str, **config: Any) -> Target:
    """Makes a target by its name.

    Args:
        name: One of `list_targets()`.
        **config: Arguments of the target, as its `get_config` gives them.

    Returns:
        The target.

    Raises:
        ValueError: If there is no target of that name, or the configuration is out of range.

    Example:
        >>> create("classes", num_classes=3).num_outputs
        3
    """
    return get(name).from_config(config)
