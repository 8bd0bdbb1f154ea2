"""Pictures of what was found beside what is wrong, one a sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_unet.report import pictures, volumes

if TYPE_CHECKING:
    import numpy as np

    from keras_unet.sample import Sample
    from keras_unet.segmentation import Segmentation


def write_error_pictures(
    folder: str | Path, samples: Sequence[Sample], found: Sequence[Segmentation]
) -> None:
    """Writes one PNG a sample: instances found beside the pixel errors; of volumes also slices.

    Args:
        folder: Where to, made if needed.
        samples: The annotated samples.
        found: What was found in them, in the same order.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for index, (sample, one) in enumerate(zip(samples, found, strict=True)):
        stem = (sample.name or str(index)).replace("/", "_")
        instances = pictures.overlay(sample.image, one.instances)
        errors = pictures.errors(sample.image, sample.class_map(), one.classes)
        pictures.write_png(folder / f"{stem}.png", pictures.side_by_side([instances, errors]))
        if sample.rank == 3:
            slices = volumes.montage(sample.image, _objects(sample, one))
            pictures.write_png(folder / f"{stem}_slices.png", volumes.enlarge(slices))


def _objects(sample: Sample, found: Segmentation) -> np.ndarray:
    """What outlines show: instances, or classes where the annotation has nothing else."""
    return found.classes if sample.instances is None else found.instances
