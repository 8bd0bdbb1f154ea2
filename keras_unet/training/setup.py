"""What follows from a recipe and its samples together: split, target, network, tile."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_unet import models, targets
from keras_unet.data.resolution import per_axis, resize_sample
from keras_unet.sample import Sample
from keras_unet.targets.base import Target
from keras_unet.training.recipe import Recipe
from keras_unet.training.sample_checks import (
    ClassTable,
    check_like,
    check_samples,
    choose_tile,
    warn_batch_norm,
    warn_lost_objects,
    warn_samples,
)

logger = logging.getLogger("keras_unet")


def split_samples(
    samples: Sequence[Sample], validation: Sequence[Sample] | float | int | None, most: int
) -> tuple[list[Sample], list[Sample]]:
    """Splits off the validation samples.

    Args:
        samples: All samples.
        validation: Samples; how many of `samples` to hold out, a whole number or a fraction below
            1, taken from the end together; or None.
        most: Largest number of validation samples; of more, evenly spread ones are taken.

    Returns:
        Training and validation samples.

    Raises:
        ValueError: If nothing would remain for training, or a sample is in both.
    """
    training = list(samples)
    if validation is None:
        return training, []
    if isinstance(validation, (int, float)):
        count = _held_out(validation, len(training))
        cut = len(training) - count
        training, held_out = training[:cut], training[cut:]
    else:
        held_out = list(validation)
        images = {id(sample.image) for sample in training}
        for index, sample in enumerate(held_out):
            if id(sample.image) in images:
                raise ValueError(
                    f"validation sample {index} {sample.name!r} is also a training sample; its "
                    "score would say nothing about new images"
                )
    if len(held_out) > most:
        held_out = [held_out[index * len(held_out) // most] for index in range(most)]
    return training, held_out


def _held_out(validation: float | int, total: int) -> int:
    """Number of samples to hold out."""
    count = -1
    if isinstance(validation, float) and 0 < validation < 1:
        count = max(round(validation * total), 1)
    elif isinstance(validation, int) and not isinstance(validation, bool):
        count = validation
    if not 0 <= count < max(total, 1):
        raise ValueError(
            f"validation must be samples, a whole number of the {total} samples to hold out, or a "
            f"fraction below 1, and leave one to train on. Received: validation={validation}"
        )
    return count


@dataclass(frozen=True)
class Setup:
    """What follows from a recipe and its samples together.

    Attributes:
        recipe: The recipe.
        training: The training samples at the recipe's resolution.
        table: Class frequencies of these.
        target: The target with its number of classes and class weights.
        network: The network in float32 on one device, for predictions.
        tile: Side of the network's input in working pixels, or one per axis.
    """

    recipe: Recipe
    training: list[Sample]
    table: ClassTable
    target: Target
    network: keras.Model
    tile: int | tuple[int, ...]

    @classmethod
    def check(cls, recipe: Recipe, training: list[Sample], held_out: list[Sample]) -> Setup:
        """Checks samples against the recipe and settles what it leaves open.

        Args:
            recipe: The recipe.
            training: Training samples as they were read; resized here.
            held_out: Validation samples; validated at their own size.

        Returns:
            A `Setup`.

        Raises:
            ValueError: If the samples or the recipe are not fit for training.
        """
        needs_instances = targets.get(recipe.target).needs_instances
        num_classes = recipe.target_options.get("num_classes")
        resized = [resize_sample(sample, recipe.resolution) for sample in training]
        table = check_samples(resized, num_classes, needs_instances)
        if held_out:
            check_like([training[0], *held_out])
            check_samples(held_out, len(table.pixels), needs_instances, role="validation")
        warn_samples(resized, table)
        warn_unused(recipe)
        if min(per_axis(recipe.resolution, training[0].rank if training else 2)) < 1:
            warn_lost_objects(training, resized, recipe.resolution)
        if recipe.normalization == "batch":
            warn_batch_norm(recipe.batch_size)
        target = make_target(recipe, table, relative_spacing(resized))
        network = build_network(recipe, _input_shape(training[0]), target.num_outputs)
        tile = choose_tile(network.geometry, resized, recipe.tile)
        return cls(recipe, resized, table, target, network, tile)

    def build_network(self, dtype: str) -> keras.Model:
        """Another network like `network`, with a Keras dtype policy."""
        return build_network(
            self.recipe, self.network.input_shape[1:], self.target.num_outputs, dtype
        )


def _input_shape(sample: Sample) -> tuple[int | None, ...]:
    return (*[None] * sample.rank, sample.channels)


def build_network(
    recipe: Recipe, input_shape: tuple[int | None, ...], num_outputs: int, dtype: str = "float32"
) -> keras.Model:
    """The network of a recipe.

    Args:
        recipe: The recipe.
        input_shape: `(*spatial, channels)`, None for any size.
        num_outputs: Channels of its logits.
        dtype: Keras dtype policy. Defaults to "float32".

    Returns:
        A model with `.geometry`.

    Raises:
        ValueError: If the architecture or one of `model_options` is unknown.
    """
    options = {
        "input_shape": input_shape,
        "num_classes": num_outputs,
        "dtype": dtype,
        **_shared_options(recipe),
        **recipe.model_options,
    }
    return _create(models.create, recipe.model, options, "model_options")


SHARED = ("filters", "depth", "padding", "normalization", "dropout")
"""Fields of a recipe that are arguments of most architectures."""


def _shared_options(recipe: Recipe) -> dict[str, Any]:
    """Those of them that the recipe's architecture takes."""
    taken = models.arguments(recipe.model)
    return {name: getattr(recipe, name) for name in SHARED if name in taken}


def warn_unused(recipe: Recipe) -> None:
    """Logs the fields that say something about the network which its architecture does not take."""
    taken = {*models.arguments(recipe.model), *recipe.model_options}
    for name in SHARED:
        value = getattr(recipe, name)
        if name not in taken and value != getattr(Recipe, name):
            logger.warning(
                "the model %r takes no %s: %s=%r is not used", recipe.model, name, name, value
            )


def relative_spacing(samples: Sequence[Sample]) -> list[float] | None:
    """Size of a pixel along each axis in units of the smallest one, the median over samples.

    None where the sizes differ by less than a hundredth: then distances are counted in pixels.
    """
    sizes = np.median([sample.spacing for sample in samples], axis=0)
    ratios = sizes / sizes.min()
    return ratios.tolist() if ratios.max() > 1.01 else None


def make_target(
    recipe: Recipe, table: ClassTable, spacing: Sequence[float] | None = None
) -> Target:
    """The target of a recipe, its class weights from the samples where they are "balanced".

    Where pixels are no squares (or voxels no cubes), its `spacing` is `spacing` unless the recipe's
    options have one.

    Raises:
        ValueError: If the target or an option is unknown, or there are class weights for a target
            without classes.
    """
    target = targets.get(recipe.target)
    options: dict[str, Any] = dict(recipe.target_options)
    if recipe.class_weights is not None:
        options["class_weights"] = recipe.class_weights
    options = target.for_samples(options, table.pixels, spacing)
    return _create(targets.create, recipe.target, options, "target_options")


def _create(create: Any, name: str, options: dict[str, Any], field: str) -> Any:
    """Calls a registry's `create`; an unknown option becomes an error that names the field."""
    try:
        made = create(name, **options)
    except TypeError as error:
        raise ValueError(f"{field} do not fit {name!r}: {error}. Received: {options}") from error
    known = made.get_config()
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"{field} do not fit {name!r}: {unknown} are not among {sorted(known)}. "
            f"Received: {options}"
        )
    return made
