"""A user's own data: a folder of images and a folder of masks with matching names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_unet.data.mask_kinds import MaskRule
from keras_unet.errors import UsageError
from keras_unet.files.channels import Channel
from keras_unet.files.decoding import pages_in
from keras_unet.files.grids import on_grid_of
from keras_unet.files.names import (
    MASK_ENDINGS,
    SUFFIXES,
    is_image,
    natural_key,
    stem_of,
    without_ending,
)
from keras_unet.files.notes import gathered_notes
from keras_unet.files.pairing import Pairing, by_stem
from keras_unet.files.rasters import why_sizes_differ
from keras_unet.files.reading import frames_in, read_image, read_labels
from keras_unet.files.spacing import read_spacing
from keras_unet.sample import Sample

PathLike = str | os.PathLike[str]


@gathered_notes()
def read_folder(
    images: PathLike,
    masks: PathLike | None = None,
    kind: str = "auto",
    class_values: Sequence[Any] | str | None = None,
    ignore_class: Any | None = None,
    channels: int | None = None,
    rank: int = 2,
    *,
    num_classes: int | None = None,
    channel: Channel = None,
    axes: str | None = None,
    max_pixels: int | None = None,
) -> list[Sample]:
    """Reads images and their masks, matched by name.

    A mask belongs to the image of the same name without its suffix; endings such as `_img` of
    images and `_mask`, `_masks`, `_label`, `_seg`, `_gt` of masks are ignored where needed, and
    further rules are in `keras_unet.files.pairing.Pairing`. `images` and `masks` may be one folder,
    then files with such a mask ending are the masks; or two files.

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
            Defaults to `"auto"`, `"classes"` where `class_values` are given.
        class_values: Stored values in order of the class number: whole numbers, also below 0, or
            all colours, RGB triples or `"#rrggbb"`, such as `[0, 128, 255]`. Defaults to None, the
            masks hold class numbers.
        ignore_class: Stored value, or colour, of pixels without annotation, such as 255 or -1.
            Defaults to None.
        channels: 1 or 3 turns all images to grey or RGB. Defaults to None, as stored.
        rank: 2 for images; 3 for volumes, multi-page TIFF or NIfTI (`.nii`, `.nii.gz`, which need
            nibabel): a file is never taken for a volume unasked. Defaults to 2.
        num_classes: Number of classes of `"classes"`, some of which may not occur. Defaults to
            None, as many as the masks show.
        channel: Channels of the images that are read, as in `read_image`: numbers from 0 on, or
            names. Defaults to None, all.
        axes: Names of the stored arrays' axes, as in `read_image`. Defaults to None, as the files
            say.
        max_pixels: Largest number of pixels of a file, as in `read_image`. Defaults to None.

    Returns:
        A list of `Sample`s in natural order of names ("9" before "10"), with `instances` or
        `classes`, and `annotated` where `ignore_class` is given. Every frame of a file is a sample
        `NAME_t0000`, `NAME_t0001`, ... Volumes have the `spacing` that `read_spacing` finds in the
        image file.

    Raises:
        FileNotFoundError: If a folder does not exist or has no images.
        ValueError: If files do not match, sizes or numbers of frames differ, or the values of the
            masks contradict `kind`.

    Example:
        >>> samples = read_folder("images", "masks", kind="instances")
        >>> samples[0].name, samples[0].image.shape, samples[0].instances.shape
        ('synthetic-0000', (64, 80, 1), (64, 80))
    """
    rule = MaskRule.of(kind, class_values, ignore_class, num_classes)
    images = Path(images)
    if masks is None and (images / "images").is_dir() and (images / "masks").is_dir():
        images, masks = images / "images", images / "masks"
    files = _files(images, None if masks is None else Path(masks))
    shared: dict[str, Any] = {"rank": rank, "axes": axes, "max_pixels": max_pixels}
    sources = [source for pair in files for source in _frames(*pair, rank, axes)]
    annotations: list[dict[str, Any]] = [{} for _ in sources]
    if masks is not None:
        options: dict[str, Any] = {"colors": rule.colors, "negative": True, **shared}
        labels = [
            on_grid_of(read_labels(one.mask, frame=one.frame, **options), one.mask, one.image)
            for one in sources
        ]
        annotations = rule.annotations(labels, [one.mask for one in sources])
    samples = []
    for one, annotation in zip(sources, annotations, strict=True):
        image = read_image(one.image, channels=channels, channel=channel, frame=one.frame, **shared)
        shape = next(iter(annotation.values())).shape if annotation else image.shape[:-1]
        if image.shape[:-1] != shape:
            raise ValueError(
                f"{one.image} and {one.mask} differ in size. Received: {image.shape[:-1]} and "
                f"{shape}{why_sizes_differ(one.image, image.shape[:-1], shape)}"
            )
        spacing = _spacing(one.image, rank)
        samples.append(Sample(image, name=one.name, spacing=spacing, **annotation))
    return samples


class Source(NamedTuple):
    """Where a sample is read from."""

    name: str
    image: Path
    mask: Any  # a Path, or None without masks
    frame: int | None


def _frames(image: Path, mask: Path | None, rank: int, axes: str | None) -> list[Source]:
    """The samples in a file: one, or one for each frame."""
    if rank == 2 and "Z" in (pages := pages_in(image, axes=axes))[0] and max(pages[1]) > 1:
        raise UsageError(
            f"{image} has slices",
            "read volumes with rank=3, or save the slices as files of their own",
            "say --rank 3 for volumes, or save the slices as files of their own",
        )
    frames = frames_in(image, rank, axes=axes)
    other = frames if mask is None else frames_in(mask, rank, axes=axes)
    if frames != other:
        raise UsageError(
            f"{image} has {frames or 'no'} frames, {mask} {other or 'none'}",
            "give both as many, or name their axes with axes",
            "give both as many, or name their axes with --axes",
        )
    name = stem_of(image)
    if frames is None:
        return [Source(name, image, mask, None)]
    return [Source(f"{name}_t{frame:04d}", image, mask, frame) for frame in range(frames)]


def _spacing(file: Path, rank: int) -> tuple[float, ...]:
    """What the file of a volume tells of its voxels."""
    return (read_spacing(file) or ()) if rank == 3 else ()


def _image_files(folder: Path) -> list[Path]:
    """Image files of a folder in natural order."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    files = [f for f in folder.iterdir() if is_image(f) and f.name[0] != "."]
    if not files:
        raise FileNotFoundError(f"{folder} holds no images ({', '.join(SUFFIXES)})")
    return sorted(files, key=lambda file: natural_key(file.name))


def _files(images: Path, masks: Path | None) -> list[tuple[Path, Path | None]]:
    """Pairs of image and mask in the order of the images."""
    given = [images] if masks is None else [images, masks]
    if all(path.is_file() for path in given):
        return [(images, masks)]
    for path in given:
        if path.is_file():
            raise UsageError(f"{path} is a file", "give a folder or a file for both")
    image_files = _image_files(images)
    if masks is None:
        return [(file, None) for file in image_files]
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
