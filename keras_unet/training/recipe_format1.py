"""Recipes of format 1, a flat list of fields, as groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_unet import models
from keras_unet._arguments import did_you_mean, shown
from keras_unet.training.recipe_objects import SHARED

_SAME_NAME = {
    "model": ("filters", "depth", "padding", "normalization", "dropout"),
    "images": ("resolution",),
    "batches": ("tile", "sampling", "foreground_fraction"),
    "optimizer": (
        *("learning_rate", "momentum", "weight_decay", "warmup", "schedule"),
        *("gradient_clip", "ema"),
    ),
    "run": (
        *("steps", "validate_every", "validation_images", "precision", "jit_compile"),
        *("strategy", "seed", "monitor", "patience", "tensorboard"),
    ),
}
FIELDS = {
    "model": "model.name",
    "model_options": "model",
    "target": "target.name",
    "target_options": "target",
    "class_weights": "target.class_weights",
    "image_normalization": "images.normalization",
    "augmentation": "augmentation",
    "batch_size": "batches.size",
    "optimizer": "optimizer.name",
} | {name: f"{group}.{name}" for group, names in _SAME_NAME.items() for name in names}
"""Field -> its path in the groups; options of format 1 join the group itself."""
GROUPS = {path.partition(".")[0] for path in FIELDS.values()}


def is_flat(values: Mapping[str, Any]) -> bool:
    """Whether these are the fields of format 1, with or without `format: 1`."""
    if "format" in values:
        return values["format"] == 1
    flat = set(FIELDS) - GROUPS
    texts = ("model", "target", "optimizer")  # a name in format 1, a mapping in format 2
    return bool(flat & set(values)) or any(isinstance(values.get(name), str) for name in texts)


def migrate(values: Mapping[str, Any]) -> dict[str, Any]:
    """The groups that are equal in effect.

    Format 1 stored `filters`, `depth`, `padding`, `normalization` and `dropout` for every
    architecture; those that an architecture does not take had no effect and are left out.

    Args:
        values: Fields of format 1.

    Returns:
        Groups, for `Recipe.from_dict`.

    Raises:
        ValueError: If a name is not a field (the nearest one is named), or options are no mapping.
    """
    groups: dict[str, Any] = {}
    for name, value in values.items():
        _check_name(name, values)
        group, dot, field = FIELDS.get(name, "").partition(".")
        if name == "augmentation":
            groups[group] = value
        elif dot and _has_effect(name, values):
            groups.setdefault(group, {})[field] = value
    for options, group in (("model_options", "model"), ("target_options", "target")):
        given = values.get(options, {})
        if not isinstance(given, Mapping):
            raise ValueError(
                f"{options} must be a mapping of options. Received: {options}={shown(given)}"
            )
        if given:  # they won over the fields of the model, and class_weights over the target's
            both = [groups.get(group, {}), given]
            first, last = both if group == "model" else reversed(both)
            groups[group] = {**first, **last}
    if "normalisation" in groups.get("target", {}):  # as the seed target's argument was spelled
        groups["target"]["normalization"] = groups["target"].pop("normalisation")
    return groups


def _check_name(name: Any, values: Mapping[str, Any]) -> None:
    if name in GROUPS - set(FIELDS):
        raise ValueError(
            "a recipe has flat fields (format 1) or groups (format 2), not both. "
            f"Received: {', '.join(map(str, values))}"
        )
    if name not in FIELDS and name != "format":
        hint = did_you_mean(name, FIELDS) or f"; the fields are {', '.join(FIELDS)}"
        raise ValueError(f"unknown recipe field {shown(name)} of format 1{hint}")


def _has_effect(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a field says something: not None for class weights, and taken by the architecture."""
    model = values.get("model", "unet")
    if name == "class_weights":
        return values[name] is not None
    if name not in SHARED or model == "unet" or model not in models.list_models():
        return True
    return name in models.arguments(model)
