"""The groups of a recipe that are arguments of a class: model, target and augmentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from keras_unet import models, targets
from keras_unet._arguments import check_one_of, notes_of, parameters_of, shown
from keras_unet.augmentation.augmentation import Augmentation
from keras_unet.training.recipe_checks import check_arguments
from keras_unet.training.recipe_groups import ModelOptions

NOT_OPTIONS = ("input_shape", "dtype", "name", "trainable")
"""Arguments of an architecture that follow from the samples and the run."""
SHARED = {item.name: item.default for item in fields(ModelOptions) if item.name != "name"}
"""Arguments that most architectures take, with a recipe's defaults."""


def check_model(given: Any) -> dict[str, Any]:
    """The name and all arguments of an architecture; nothing is built.

    Args:
        given: Some of them.

    Returns:
        Those that were given, and the defaults of `ModelOptions` that the architecture takes.

    Raises:
        ValueError: If the architecture or an argument is unknown, or a value does not fit.
    """
    name, options = _named("model", given, ModelOptions.name)
    check_one_of("model.name", name, models.list_models())
    if name == ModelOptions.name and set(options) <= set(SHARED):  # needs no Keras
        return ModelOptions.of({"name": name, **options}).to_dict()
    cls = models.get(name)
    options = check_arguments("model", cls, options, NOT_OPTIONS, f" of {name!r}")
    taken = parameters_of(cls)
    shared = {key: options.get(key, SHARED[key]) for key in SHARED if key in taken}
    checked = ModelOptions.of(shared).to_dict()
    options = shared | options | {key: checked[key] for key in shared}
    _make("model", cls.check_arguments, options)
    return {"name": name, **options}


def check_target(given: Any) -> dict[str, Any]:
    """The name and the given arguments of a target.

    Raises:
        ValueError: If the target or an argument is unknown, or a value does not fit.
    """
    name, options = _named("target", given, "classes")
    check_one_of("target.name", name, targets.list_targets())
    cls = targets.get(name)
    taken, weights = parameters_of(cls), options.get("class_weights")
    balanced = {}
    if isinstance(weights, str):
        if weights != "balanced" or not {"class_weights", "num_classes"} <= set(taken):
            raise ValueError(
                'target.class_weights must be numbers, or "balanced" for a target of classes. '
                f"Received: target.class_weights={shown(weights)} for target.name={name!r}"
            )
        balanced = {"class_weights": options.pop("class_weights")}
    options = check_arguments("target", cls, options, taker=f" of {name!r}")
    trial = dict(options)
    if "num_classes" in taken and weights is not None and not balanced:
        trial.setdefault("num_classes", len(weights))  # else counted in the samples
    _make("target", cls, trial)
    return {"name": name, **options, **balanced}


def check_augmentation(given: Any) -> dict[str, Any] | None:
    """The given arguments of `Augmentation`; None for no augmentation.

    Raises:
        ValueError: If an argument is unknown or a value does not fit.
    """
    if given is None:
        return None
    options = check_arguments("augmentation", Augmentation, given)
    _make("augmentation", Augmentation, options)
    return options


def notes_of_arguments(group: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What the arguments of one of these groups mean, from the documentation of their class."""
    if group == "augmentation":
        return notes_of(Augmentation)
    if group == "target":
        return notes_of(targets.get(options["name"]))
    notes = notes_of(ModelOptions)
    return notes if set(options) <= set(notes) else notes_of(models.get(options["name"])) | notes


def _named(group: str, given: Any, default: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{group} must be a mapping of its name and its arguments, such as "
            f"{{'name': {default!r}}}. Received: {group}={shown(given)}"
        )
    return given.get("name", default), {k: v for k, v in given.items() if k != "name"}


def _make(group: str, make: Callable[..., Any], options: dict[str, Any]) -> None:
    """Makes an object for its own checks, whose messages get the group's name."""
    try:
        make(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{group}: {error}") from error
