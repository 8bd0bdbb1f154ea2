"""Targets by the name that recipes and run folders use."""

from __future__ import annotations

from typing import Any

from keras_unet.targets.base import Target
from keras_unet.targets.classes import ClassTarget
from keras_unet.targets.seeds import SeedTarget

TARGETS: dict[str, type[Target]] = {target.name: target for target in (ClassTarget, SeedTarget)}
"""Name -> target class."""


def create(name: str, **config: Any) -> Target:
    """Makes a target by its name.

    Args:
        name: A key of `TARGETS`: "classes" or "seeds".
        **config: Arguments of the target, as its `get_config` gives them.

    Returns:
        The target.

    Raises:
        ValueError: If there is no target of that name, or the configuration is out of range.

    Example:
        >>> create("classes", num_classes=3).num_outputs
        3
    """
    if name not in TARGETS:
        raise ValueError(f"target must be one of {sorted(TARGETS)}. Received: name={name!r}")
    return TARGETS[name].from_config(config)
