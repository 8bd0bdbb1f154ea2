"""What the numbers in a folder of masks mean: binary, instances or classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_unet.objects.labelling import connected_components, pieces_per_id

MANY_IDS = 10
"""More ids than this in one mask, nearly all of one piece each, can only be instances."""

Labels = Sequence[np.ndarray]
Files = Sequence[Path]
Annotations = list[dict[str, Any]]
"""Keyword arguments of `Sample`, one dictionary a mask."""


def guess_kind(labels: Labels, folder: Path) -> str:
    """`"binary"` or `"instances"` where all masks together leave no doubt.

    Raises:
        ValueError: If they do; the message shows the values and what to pass.
    """
    values = [np.unique(label) for label in labels]
    seen = np.unique(np.concatenate(values)).tolist()
    if set(seen) <= {0, 1} or set(seen) <= {0, 255}:
        return "binary"
    richest = int(np.argmax([len(v) for v in values]))
    if len(values[richest]) > MANY_IDS + 1 and pieces_per_id(labels[richest]) < 1.1:
        return "instances"
    raise ValueError(
        f"{folder}: the masks hold the values {_shown(seen)}, which can mean several things; pass "
        "kind='instances' (an id per object), kind='classes' (a number per class, with "
        "class_values if they are not 0, 1, 2, ...) or kind='binary'. Received: kind='auto'"
    )


def binary_annotations(labels: Labels, files: Files) -> Annotations:
    """The one value beside 0 is foreground; its 4- (3-D: 6-) connected parts are the instances."""
    annotations = []
    for label, file in zip(labels, files, strict=True):
        values = np.unique(label).tolist()
        if len(set(values) - {0}) > 1:
            raise ValueError(
                f"{file}: a binary mask holds 0 and one other value. "
                f"Received: values {_shown(values)}"
            )
        annotations.append({"instances": connected_components(label)})
    return annotations


def class_annotations(
    labels: Labels, files: Files, values: Sequence[int] | None, ignore: int | None
) -> Annotations:
    """Class numbers from stored values; pixels of the value `ignore` are not annotated."""
    seen = np.unique(np.concatenate([np.unique(label) for label in labels]))
    known = seen[seen != ignore]
    if values is None:
        values = range(len(known))
        if known.tolist() != list(values):
            raise ValueError(
                f"{files[0].parent}: the masks hold the values {_shown(known.tolist())}, which are "
                "not class numbers 0, 1, 2, ... without a gap; pass class_values=[...] in order "
                "of the class number, and ignore_class for pixels without annotation"
            )
    for label, file in zip(labels, files, strict=True):
        strange = sorted(set(np.unique(label).tolist()) - {*values, ignore})
        if strange:
            raise ValueError(
                f"{file} holds values that are neither in class_values nor ignore_class: "
                f"{_shown(strange)}. Received: class_values={list(values)}, ignore_class={ignore}"
            )
    order = np.argsort(values)
    ascending = np.asarray(values)[order]
    annotations = []
    for label in labels:
        unknown = label == ignore
        stored = np.where(unknown, ascending[0], label)
        annotation = {"classes": order[np.searchsorted(ascending, stored)]}
        annotations.append(annotation if ignore is None else {**annotation, "annotated": ~unknown})
    return annotations


def _shown(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
