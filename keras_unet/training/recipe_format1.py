"""Recipes of format 1, a flat list of fields, as groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_unet import models
from keras_unet._names import did_you_mean
from keras_unet.training.recipe_objects import SHARED

FIELDS = {
    "model": "model.name",
    "filters": "model.filters",
    "depth": "model.depth",
    "padding": "model.padding",
    "normalization": "model.normalization",
    "dropout": "model.dropout",
    "model_options": "model",
    "target": "target.name",
    "target_options": "target",
    "class_weights": "target.class_weights",
    "image_normalization": "images.normalization",
    "resolution": "images.resolution",
    "augmentation": "augmentation",
    "tile": "batches.tile",
    "batch_size": "batches.size",
    "sampling": "batches.sampling",
    "foreground_fraction": "batches.foreground_fraction",
    "optimizer": "optimizer.name",
    "learning_rate": "optimizer.learning_rate",
    "momentum": "optimizer.momentum",
    "weight_decay": "optimizer.weight_decay",
    "warmup": "optimizer.warmup",
    "schedule": "optimizer.schedule",
    "gradient_clip": "optimizer.gradient_clip",
    "ema": "optimizer.ema",
    "steps": "run.steps",
    "validate_every": "run.validate_every",
    "validation_images": "run.validation_images",
    "precision": "run.precision",
    "jit_compile": "run.jit_compile",
    "strategy": "run.strategy",
    "seed": "run.seed",
    "monitor": "run.monitor",
    "patience": "run.patience",
    "tensorboard": "run.tensorboard",
}
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
        if name == "format":
            continue
        if name in GROUPS - set(FIELDS):
            raise ValueError(
                f"a recipe has flat fields (format 1) or groups (format 2), not both. Received: "
                f"{', '.join(map(str, values))}"
            )
        if name not in FIELDS:
            hint = did_you_mean(name, FIELDS) or f"; the fields are {', '.join(FIELDS)}"
            raise ValueError(f"unknown recipe field {name!r} of format 1{hint}")
        group, dot, field = FIELDS[name].partition(".")
        if name == "augmentation":
            groups[group] = value
        elif not dot:
            if not isinstance(value, Mapping):
                raise ValueError(f"{name} must be a mapping of options. Received: {name}={value!r}")
            groups.setdefault(group, {})
        elif not (name == "class_weights" and value is None) and _taken(name, values):
            groups.setdefault(group, {})[field] = value
    for options, group in (("model_options", "model"), ("target_options", "target")):
        if values.get(options):
            given = groups[group]
            # options won over the fields of the model, class_weights over those of the target
            groups[group] = (
                {**values[options], **given} if group == "target" else {**given, **values[options]}
            )
    if "normalisation" in groups.get("target", {}):  # as the seed target's argument was spelled
        groups["target"]["normalization"] = groups["target"].pop("normalisation")
    return groups


def _taken(name: str, values: Mapping[str, Any]) -> bool:
    """Whether the architecture takes a field; for those of other groups True."""
    model = values.get("model", "unet")
    if name not in SHARED or model == "unet" or model not in models.list_models():
        return True
    return name in models.arguments(model)
