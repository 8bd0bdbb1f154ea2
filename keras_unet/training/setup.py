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
from keras_unet.errors import UsageError
from keras_unet.evaluation.scores import INSTANCE_SCORES
from keras_unet.sample import Sample
from keras_unet.targets.base import Target
from keras_unet.training.recipe import Recipe
from keras_unet.training.recipe_groups import RunOptions
from keras_unet.training.sample_checks import (
    ClassTable,
    check_like,
    check_samples,
    choose_tile,
    count_classes,
    warn_batch_norm,
    warn_lost_objects,
    warn_samples,
)
from keras_unet.training.step_memory import check_network, check_step, machine_memory

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
        raise UsageError(
            f"a validation of {validation} of {total} samples is not possible: it must leave one "
            "to train on",
            "give samples, a whole number of samples to hold out, or a fraction below 1",
            "say --validation with a share below 1, such as 0.2, or leave it away",
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
        needs_instances = targets.get(recipe.target["name"]).needs_instances
        num_classes = recipe.target.get("num_classes")
        resolution = recipe.images.resolution
        resized = [resize_sample(sample, resolution) for sample in training]
        check_samples(resized, num_classes, needs_instances)
        if held_out:
            check_samples(held_out, num_classes, needs_instances, role="validation")
            check_like([training[0], *held_out])
        # a class that only held-out images have is a class, and one that a coarse grid loses
        seen = count_classes([*training, *held_out], num_classes)
        table = count_classes(resized, len(seen.pixels))
        check_scores(recipe.run, held_out)
        warn_samples(resized, table)
        if min(per_axis(resolution, training[0].rank if training else 2)) < 1:
            warn_lost_objects(training, resized, resolution)
        if recipe.model.get("normalization") == "batch":
            warn_batch_norm(recipe.batches.size)
        target = make_target(recipe, table, relative_spacing(resized))
        shape = (*[None] * training[0].rank, training[0].channels)
        limit = machine_memory()
        check_network(recipe, shape, outputs_of(recipe, target), limit)
        network = build_network(recipe, shape, outputs_of(recipe, target))
        check_heads(recipe, target, network)
        tile = choose_tile(network.geometry, resized, recipe.batches.tile)
        check_step(recipe, network, tile, limit)
        return cls(recipe, resized, table, target, network, tile)

    def build_network(self, dtype: str) -> keras.Model:
        """Another network like `network`, with a Keras dtype policy."""
        return build_network(
            self.recipe, self.network.input_shape[1:], self.network.output_shape[-1], dtype
        )


def outputs_of(recipe: Recipe, target: Target) -> int:
    """Channels of the network's logits: what the target needs, or what the recipe says.

    Raises:
        UsageError: If the recipe says a number that the target does not take.
    """
    given = recipe.model.get("num_classes")
    if given is None or target.takes(given):
        return target.num_outputs if given is None else given
    raise UsageError(
        f"the model has num_classes={given} outputs, but the target {recipe.target['name']!r} "
        f"needs {target.num_outputs}",
        "leave model['num_classes'] away; of two classes it may be 1, the foreground's sigmoid",
        "leave --model.num_classes away; of two classes it may be 1, the foreground's sigmoid",
    )


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
    """
    options = {**recipe.model, "num_classes": num_outputs}
    return models.create(**options, input_shape=input_shape, dtype=dtype)


def check_scores(run: RunOptions, held_out: Sequence[Sample]) -> None:
    """Raises a `ValueError` if no validation gives the score that decides; says what none needs."""
    if not held_out:
        for name in ("patience", "monitor"):
            if (value := getattr(run, name)) != getattr(RunOptions(), name):
                logger.warning(
                    "%s %s has no effect: %s needs validation images, see --validation or the "
                    "argument validation of train",
                    *(name, value, name),
                )
    elif run.monitor in INSTANCE_SCORES and all(one.instances is None for one in held_out):
        raise UsageError(
            f"the validation images have classes and no objects, which the score {run.monitor!r} "
            "needs",
            "give run.monitor='mean_iou', or samples with instances",
            "say --monitor mean_iou, or --kind instances if the masks hold objects",
        )


def check_heads(recipe: Recipe, target: Target, network: models.SegmentationModel) -> None:
    """Raises a `ValueError` unless the target learns the very heads that the network trains."""
    learns, gives = tuple(target.heads), tuple(network.heads)
    if learns == gives:
        return
    raise UsageError(
        f"the model {recipe.model['name']!r} trains {', '.join(gives) or 'one output'}, but the "
        f"target {recipe.target['name']!r} learns {', '.join(learns) or 'one output'}",
        "take a model without these heads (multitask=False) and a target of one output, or "
        "{'name': 'res_unet_a', 'multitask': True} and the target 'multitask'",
        "take a model without these heads (--model.multitask false) and a target of one output, or "
        "--model res_unet_a --model.multitask true --target multitask",
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

    Where pixels are no squares (or voxels no cubes), its `spacing` is `spacing` unless the recipe
    has one.
    """
    options: dict[str, Any] = dict(recipe.target)
    target = targets.get(options.pop("name"))
    return target.from_config(target.for_samples(options, table.pixels, spacing))
