"""Do samples, network and target fit together? What both data sets ask before they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_unet.errors import UsageError
from keras_unet.geometry.base import Geometry
from keras_unet.sample import Sample
from keras_unet.targets.base import Target

Normalize = Callable[[np.ndarray], np.ndarray]


def num_classes(samples: Sequence[Sample]) -> int:
    """Number of classes of samples, background included: what model, target and metric are told.

    Args:
        samples: Annotated images.

    Returns:
        One more than the highest class in any of them, at least 2; instances alone are class 1.

    Example:
        >>> image, classes = np.zeros((1, 3, 1)), np.array([[0, 2, 1]])
        >>> num_classes([keras_unet.Sample(image, classes=classes)])
        3
    """
    highest = (int(s.classes.max(initial=0)) for s in samples if s.classes is not None)
    return max([1, *highest]) + 1


def target_for(
    samples: Sequence[Sample], target: Target | None, weights: Any, is_given: bool
) -> Target:
    """The target that was given, or that of as many classes as the samples have."""
    if target is None:
        from keras_unet.targets import ClassTarget

        return ClassTarget(num_classes(samples), weights=weights)
    if is_given:
        raise UsageError(
            f"weights={weights!r} has no effect beside a target, which makes the weights",
            "give them to it, ClassTarget(weights=...)",
        )
    return target


def told_classes(dataset: Any, target: Target) -> Any:
    """The `tf.data.Dataset`, which tells `model.fit` in `num_classes` how many classes `y` has."""
    if target.target_channels is None:
        dataset.num_classes = target.num_classes
    return dataset


def tile_shapes(
    geometry: Geometry, tile: int | Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Input and output shape of a tile."""
    sizes = (tile,) * geometry.rank if isinstance(tile, int) else tuple(tile)
    if len(sizes) != geometry.rank:
        raise ValueError(f"tile needs one number or {geometry.rank} of them. Received: tile={tile}")
    for size in sizes:
        geometry.check(size, "tile")
    return sizes, tuple(geometry.output_size(size) for size in sizes)


def check_samples(samples: Sequence[Sample], geometry: Geometry, target: Target) -> None:
    """Raises a `ValueError` that names the first sample that does not fit."""
    if not samples:
        raise ValueError("a data set needs at least one sample. Received: samples=[]")
    channels = samples[0].channels
    tried: set[tuple[bool, bool]] = set()
    for index, sample in enumerate(samples):
        label = f"sample {sample.name!r} (number {index})"
        if sample.rank != geometry.rank:
            raise ValueError(
                f"{label} has {sample.rank} spatial axes, but the network has {geometry.rank}. "
                f"Received: image.shape={sample.image.shape}"
            )
        if sample.channels != channels:
            raise ValueError(
                f"all samples must have the same number of channels: {label} has "
                f"{sample.channels}, {samples[0].name!r} has {channels}"
            )
        if sample.instances is None and sample.classes is None:
            raise ValueError(f"{label} has no annotation: neither instances nor classes")
        if target.target_channels is None and sample.classes is not None:
            highest = int(sample.classes.max())
            if highest >= target.num_classes:
                raise UsageError(
                    f"{label} has class {highest}, but the target has {target.num_classes} classes",
                    f"give target=keras_unet.targets.ClassTarget(num_classes={highest + 1})",
                )
        kinds = (sample.instances is None, sample.classes is None)
        if kinds not in tried:  # does the target take this kind of annotation?
            tried.add(kinds)
            corner = tuple(slice(0, 8) for _ in sample.shape)
            maps = (sample.instances, sample.classes)
            try:
                target.encode(*(None if m is None else m[corner] for m in maps))
            except ValueError as error:
                raise ValueError(f"{label}: {error}") from error
