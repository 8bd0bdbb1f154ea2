"""What is wrong with samples, found before the first step and said in words."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from keras_unet.data.resolution import Resolution, resolution_text
from keras_unet.errors import UsageError, listed
from keras_unet.geometry.base import Geometry
from keras_unet.objects.runs import distinct
from keras_unet.sample import Sample

logger = logging.getLogger("keras_unet")

RARE = 0.001
"""Share of the annotated pixels below which a class counts as rare."""
FEW_OBJECTS = 10


@dataclass(frozen=True)
class ClassTable:
    """How often every class occurs in the annotated pixels of some samples.

    Attributes:
        pixels: Annotated pixels of each class, over all samples.
        objects: Annotated objects over all samples; None without instances.
    """

    pixels: tuple[int, ...]
    objects: int | None

    @property
    def fractions(self) -> tuple[float, ...]:
        """Share of every class in the annotated pixels."""
        total = max(sum(self.pixels), 1)
        return tuple(count / total for count in self.pixels)

    def __str__(self) -> str:
        rows = [f"class {index}: {share:.2%}" for index, share in enumerate(self.fractions)]
        if self.objects is not None:
            rows.append(f"{self.objects} objects")
        return ", ".join(rows)


def count_classes(samples: Sequence[Sample], num_classes: int | None = None) -> ClassTable:
    """Counts the classes in the annotated pixels of samples.

    Args:
        samples: Annotated samples.
        num_classes: Number of classes. Defaults to None: as many as the samples show, at least 2.

    Returns:
        A `ClassTable`.
    """
    counts = np.zeros(num_classes or 2, np.int64)
    for sample in samples:
        classes = sample.class_map()
        values = classes if sample.annotated is None else classes[sample.annotated]
        found = np.bincount(values.ravel(), minlength=len(counts))
        counts = np.pad(counts, (0, len(found) - len(counts))) + found
    return ClassTable(tuple(int(count) for count in counts), count_objects(samples))


def count_objects(samples: Sequence[Sample]) -> int | None:
    """Annotated objects over all samples; None without instances."""
    maps = [sample.instances for sample in samples if sample.instances is not None]
    return sum(int((distinct(ids) > 0).sum()) for ids in maps) if maps else None


def check_samples(
    samples: Sequence[Sample],
    num_classes: int | None = None,
    needs_instances: bool = False,
    role: str = "training",
) -> ClassTable:
    """Checks that a network can learn from samples; every message names the sample.

    Args:
        samples: The samples.
        num_classes: Number of classes of the target. Defaults to None, as many as there are.
        needs_instances: Whether the target learns from instances. Defaults to False.
        role: "training" or "validation", for the messages.

    Returns:
        A `ClassTable` of them.

    Raises:
        ValueError: If there is no sample, images differ in rank or channels, an annotation is
            missing, a class is not below `num_classes`, or no pixel is annotated as foreground.
    """
    if not samples:
        raise ValueError(f"there is no {role} sample. Received: samples={samples!r}")
    for index, sample in enumerate(samples):
        _check_annotated(sample, _name(sample, index, role), needs_instances)
    check_like(samples)
    for index, sample in enumerate(samples):
        name = _name(sample, index, role)
        _check_classes(sample, name, num_classes)
        if sample.image.min() == sample.image.max():
            logger.warning("%s: all pixels of the image are %s", name, sample.image.flat[0])
    table = count_classes(samples, num_classes)
    if not any(table.pixels[1:]):
        raise UsageError(
            f"no pixel of the {len(samples)} {role} samples is annotated as foreground: there is "
            "nothing to learn",
            "are the masks the right files, and is 0 the background?",
        )
    return table


def check_like(samples: Sequence[Sample]) -> None:
    """Raises a `ValueError` unless all images have the same number of axes and channels."""
    first = samples[0]
    for index, sample in enumerate(samples):
        if (sample.rank, sample.channels) != (first.rank, first.channels):
            counts = {sample.channels, first.channels}
            raise UsageError(
                "all images need the same number of axes and channels: "
                f"{_name(sample, index)} has shape {sample.image.shape}, {_name(first, 0)} has "
                f"{first.image.shape}",
                "convert one of them (for example grey to RGB: np.repeat(image, 3, axis=-1))",
                "say --channels 1 for grey or --channels 3 for RGB"
                if counts == {1, 3}
                else "say --channel with the channels that all have, such as --channel 1",
            )


def _check_annotated(sample: Sample, name: str, needs_instances: bool) -> None:
    if sample.instances is None and sample.classes is None:
        raise UsageError(
            f"{name} has no instances and no classes",
            "give Sample(image, instances=...), one id per object and 0 for the background",
            "say --masks with the folder of the masks, or with the mask of a single image",
        )
    if sample.instances is None and needs_instances:
        raise UsageError(
            f"{name} has classes and no instances, from which this target learns",
            "give Sample(image, instances=...), or take the target 'classes'",
            "say --kind instances if masks hold an id per object, or --target classes",
        )
    if sample.annotated is not None and not sample.annotated.any():
        raise UsageError(
            f"{name} has no annotated pixel", "leave it out or set annotated=None", "leave it out"
        )


def _check_classes(sample: Sample, name: str, num_classes: int | None) -> None:
    if sample.classes is None:
        return
    values = np.unique(sample.classes)
    if values.tolist() in ([0, 255], [255]):
        raise UsageError(
            f"{name}: the classes are {values.tolist()}, which looks like a mask saved as 0/255",
            "use classes=(mask > 0), or data.read_folder(..., kind='binary')",
            "say --kind binary, or --class-values 0,255",
        )
    if num_classes is not None and values[-1] >= num_classes:
        raise UsageError(
            f"{name}: classes must be 0..{num_classes - 1}, but the values are {_short(values)}",
            f"raise num_classes={num_classes}, or map the values to 0, 1, 2, ...",
            "raise --num-classes, or name the values with --class-values",
        )


def warn_samples(samples: Sequence[Sample], table: ClassTable) -> None:
    """Logs what is allowed but often a mistake: empty, inverted, merged or rare annotations."""
    empty = [_name(s, i) for i, s in enumerate(samples) if not s.class_map().any()]
    if empty:
        shown = listed(empty, most=5)
        logger.warning("%d of %d masks are empty: %s", len(empty), len(samples), shown)
    for index, sample in enumerate(samples):
        pieces = _merged_pieces(sample)
        if pieces > 1:
            logger.warning(
                "%s: one instance id for %d separate pieces, as in a binary mask; objects need an "
                "id each, which the kind binary (--kind binary) gives them",
                _name(sample, index),
                pieces,
            )
    for index, share in enumerate(table.fractions):
        if share == 0:
            logger.warning("class %d does not occur in the training samples", index)
        elif share < RARE:
            logger.warning(
                "class %d has only %.3f %% of the annotated pixels: the network may never predict "
                "it; balanced class weights (--target.class_weights balanced) raise its weight, a "
                "foreground fraction (--foreground-fraction 0.5) its share of the tiles",
                index,
                100 * share,
            )
    if table.objects is not None and 0 < table.objects < FEW_OBJECTS:
        logger.warning(
            "only %d objects are annotated: expect overfitting, and annotate more if you can",
            table.objects,
        )


def _merged_pieces(sample: Sample) -> int:
    """Connected pieces of a sample with a single instance id, else 0."""
    if sample.instances is None or sample.classes is not None:
        return 0
    foreground = sample.instances > 0
    ids = sample.instances[foreground]
    if ids.size == 0 or (ids != ids[0]).any():
        return 0
    return int(ndimage.label(foreground, np.ones((3,) * sample.rank))[1])


def warn_lost_objects(
    samples: Sequence[Sample], resized: Sequence[Sample], resolution: Resolution
) -> None:
    """Logs how many objects are too small for a coarser grid, if any."""
    before, after = count_objects(samples), count_objects(resized)
    if before and after is not None and after < before:
        logger.warning(
            "%d of %d objects vanish at resolution %s, they are smaller than a pixel there; a "
            "higher resolution keeps them",
            before - after,
            before,
            resolution_text(resolution),
        )


def warn_batch_norm(batch_size: int) -> None:
    """Logs that batch normalization needs more tiles in a step, where it does."""
    if batch_size < 4:
        logger.warning(
            "batch normalization over %d tile(s) in a step: training and prediction will differ; "
            "take 4 or more (--batch-size 4), or another normalization (--normalization group or "
            "none)",
            batch_size,
        )


def choose_tile(
    geometry: Geometry, samples: Sequence[Sample], tile: int | Sequence[int] | None
) -> int | tuple[int, ...]:
    """The tile's sides: as asked if they are legal, else chosen for the samples.

    Args:
        geometry: The network's geometry.
        samples: The training samples at the recipe's resolution, whose pixels are meant here.
        tile: Side of the input in pixels, one number or one per axis, or None to choose: about 256
            px of output and no more than the largest image needs; in volumes about 64 px, and along
            no axis more than the largest volume needs there.

    Returns:
        A legal side in pixels, or one per axis.

    Raises:
        ValueError: If `tile` is not legal (the message names the nearest legal sizes) or has
            another number of axes.
    """
    longest = np.max([sample.shape for sample in samples], axis=0).tolist()
    if isinstance(tile, int) or (tile is None and geometry.rank == 2):
        longest = [max(longest)]
    if tile is None:
        most = 64 if geometry.rank == 3 else 256
        sides = [geometry.input_size(min(most, size)) for size in longest]
    else:
        sides = [tile] if isinstance(tile, int) else list(tile)
    if len(sides) != len(longest):
        raise UsageError(
            f"a tile has one side or {geometry.rank} of them, one per axis, not {tile}",
            "give one number, or one per axis",
            "say --tile with one number, or one per axis, such as --tile 64 or --tile 16,64,64",
        )
    for side, size in zip(sides, longest, strict=True):
        geometry.check(side)
        output = geometry.output_size(side)
        if output - geometry.stride >= size:
            logger.warning(
                "a tile's output of %d px is larger than every image (at most %d px): the rest is "
                "mirrored; a tile of %d is enough",
                output,
                size,
                geometry.input_size(size),
            )
    return sides[0] if len(set(sides)) == 1 else tuple(sides)


def _name(sample: Sample, index: int, role: str = "training") -> str:
    which = f"{'' if role == 'training' else f'{role} '}sample {index}"
    return f"{which} ({sample.name})" if sample.name else which


def _short(values: np.ndarray) -> str:
    shown = ", ".join(str(value) for value in values[:8])
    return shown + (f", ... {values[-1]}" if len(values) > 8 else "")
