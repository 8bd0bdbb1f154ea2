"""A user's own data: a folder of images and a folder of masks with matching names."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_unet.data.mask_kinds import (
    Annotations,
    binary_annotations,
    class_annotations,
    guess_kind,
)
from keras_unet.files.names import (
    MASK_ENDINGS,
    SUFFIXES,
    is_image,
    natural_key,
    stem_of,
    without_ending,
)
from keras_unet.files.nifti import is_nifti, same_grid
from keras_unet.files.notes import gathered_notes
from keras_unet.files.pairing import Pairing, by_stem
from keras_unet.files.rasters import why_sizes_differ
from keras_unet.files.reading import Colors, read_image, read_labels
from keras_unet.files.spacing import read_spacing
from keras_unet.sample import Sample

logger = logging.getLogger("keras_unet")

PathLike = str | os.PathLike[str]
KINDS = ("auto", "binary", "instances", "classes")


@gathered_notes()
def read_folder(
    images: PathLike,
    masks: PathLike | None = None,
    kind: str = "auto",
    class_values: Sequence[Any] | None = None,
    ignore_class: Any | None = None,
    channels: int | None = None,
    rank: int = 2,
) -> list[Sample]:
    """Reads images and their masks, matched by name.

    A mask belongs to the image of the same name without its suffix; endings such as `_img` of
    images and `_mask`, `_masks`, `_label`, `_seg`, `_gt` of masks are ignored where needed.
    `images` and `masks` may be one folder, then files with such a mask ending are the masks.

    `kind` says what the numbers in the masks mean. `"auto"` looks at all masks together and
    decides only where there is no doubt: 0 and 1, or 0 and 255, is binary; a mask with more than
    10 ids of which nearly all are one connected region each is instances; all else is an error
    that shows the values. A few instances per image look just like classes: pass `kind`.

    Args:
        images: Folder of images. If it has subfolders `images` and `masks` and `masks` is None,
            these are taken.
        masks: Folder of masks. Defaults to None: no annotation, or the subfolder.
        kind: `"binary"`: 0 is background, the one other value is foreground, whose 4-connected
            (3-D: 6-connected) components are the instances. `"instances"`: an id per object;
            colour images are taken with one id per colour. `"classes"`: class numbers 0..K-1.
            Defaults to `"auto"`.
        class_values: Only for `"classes"`: grey values or RGB triples in order of the class
            number, such as `[0, 128, 255]`. Defaults to None, the masks hold class numbers.
        ignore_class: Only for `"classes"`: stored grey value or RGB triple of pixels without
            annotation, such as 255. Defaults to None.
        channels: 1 or 3 turns all images to grey or RGB. Defaults to None, as stored.
        rank: 2 for images; 3 for volumes, multi-page TIFF or NIfTI (`.nii`, `.nii.gz`, which need
            nibabel): a file is never taken for a volume unasked. Defaults to 2.

    Returns:
        A list of `Sample`s in natural order of names ("9" before "10"), with `instances` or
        `classes`, and `annotated` where `ignore_class` is given. Volumes have the `spacing` that
        `read_spacing` finds in the image file.

    Raises:
        FileNotFoundError: If a folder does not exist or has no images.
        ValueError: If files do not match (all are listed), sizes differ, or the values of the
            masks contradict `kind`.

    Example:
        >>> samples = read_folder("images", "masks", kind="instances")
        >>> samples[0].name, samples[0].image.shape, samples[0].instances.shape
        ('synthetic-0000', (64, 80, 1), (64, 80))
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}. Received: kind={kind!r}")
    if kind != "classes" and not (class_values is None and ignore_class is None):
        raise ValueError(
            f"class_values and ignore_class need kind='classes'. Received: kind={kind!r}"
        )
    images = Path(images)
    if masks is None and (images / "images").is_dir() and (images / "masks").is_dir():
        images, masks = images / "images", images / "masks"
    if masks is None:
        files = _image_files(images)
        return [
            Sample(
                read_image(file, rank=rank, channels=channels),
                name=stem_of(file),
                spacing=_spacing(file, rank),
            )
            for file in files
        ]
    pairs = _match(images, Path(masks))
    annotations = _read_masks([mask for _, mask in pairs], kind, class_values, ignore_class, rank)
    samples = []
    for (file, mask), annotation in zip(pairs, annotations, strict=True):
        image = read_image(file, rank=rank, channels=channels)
        shape = next(iter(annotation.values())).shape
        if image.shape[:-1] != shape:
            raise ValueError(
                f"{file} and {mask} differ in size. Received: {image.shape[:-1]} and {shape}"
                f"{why_sizes_differ(file, image.shape[:-1], shape)}"
            )
        spacing = _spacing(file, rank, mask)
        samples.append(Sample(image, name=stem_of(file), spacing=spacing, **annotation))
    return samples


def _spacing(file: Path, rank: int, mask: Path | None = None) -> tuple[float, ...]:
    """What the file of a volume tells of its voxels; logs where the mask's file disagrees."""
    if rank != 3:
        return ()
    if mask is not None and is_nifti(file) and is_nifti(mask) and not same_grid(file, mask):
        logger.warning(
            "%s and %s have one shape, but their headers put the voxels at different places or in "
            "another order; annotate on the image's own grid, or copy its header",
            file,
            mask,
        )
    return read_spacing(file) or ()


def _read_masks(
    files: list[Path],
    kind: str,
    class_values: Sequence[Any] | None,
    ignore_class: Any | None,
    rank: int,
) -> Annotations:
    """Keyword arguments of `Sample` for each mask."""
    colors: Colors = "ids" if kind == "instances" else None
    if class_values is not None:
        table = [*class_values, *([] if ignore_class is None else [ignore_class])]
        if len({str(value) for value in table}) < len(table):
            raise ValueError(
                "class_values and ignore_class must all differ. "
                f"Received: class_values={class_values}, ignore_class={ignore_class}"
            )
        if not all(isinstance(value, int) for value in table):
            # RGB triples: the reader turns colour k into k, and the ignored one into the last.
            colors, class_values = table, range(len(class_values))
            ignore_class = None if ignore_class is None else len(class_values)
    labels = [read_labels(file, colors=colors, rank=rank) for file in files]
    if kind == "auto":
        kind = guess_kind(labels, files[0].parent)
    if kind == "binary":
        return binary_annotations(labels, files)
    if kind == "instances":
        return [{"instances": label} for label in labels]
    return class_annotations(labels, files, class_values, ignore_class)


def _image_files(folder: Path) -> list[Path]:
    """Image files of a folder in natural order."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    files = [f for f in folder.iterdir() if is_image(f) and f.name[0] != "."]
    if not files:
        raise FileNotFoundError(f"{folder} holds no images ({', '.join(SUFFIXES)})")
    return sorted(files, key=lambda file: natural_key(file.name))


def _match(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pairs of image and mask in the order of the images."""
    if images.is_file() and masks.is_file():
        return [(images, masks)]
    image_files = _image_files(images)
    if images.resolve() == masks.resolve():
        mask_files = [
            f for f in image_files if without_ending(stem_of(f), MASK_ENDINGS) != stem_of(f)
        ]
        image_files = [f for f in image_files if f not in mask_files]
    else:
        mask_files = _image_files(masks)
    pair = Pairing(f"images in {images}", f"masks in {masks}")
    by_image, by_mask = by_stem(image_files), by_stem(mask_files)
    found = pair(list(by_image), list(by_mask))
    return [(file, by_mask[name]) for file, name in zip(by_image.values(), found, strict=True)]
