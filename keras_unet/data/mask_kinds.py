"""What the numbers in a folder of masks mean: binary, instances or classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_unet.errors import UsageError, listed
from keras_unet.objects.labelling import connected_components, pieces_per_id
from keras_unet.objects.runs import distinct

KINDS = ("auto", "binary", "instances", "classes")

MANY_IDS = 10
"""More ids than this in one mask, nearly all of one piece each, can only be instances."""

Labels = Sequence[np.ndarray]
Files = Sequence[Path]
Annotations = list[dict[str, Any]]
"""Keyword arguments of `Sample`, one dictionary a mask."""


def parse_value(value: Any) -> int | tuple[int, ...]:
    """A stored value: a whole number, or a colour as `"#ff8000"` or a triple.

    Example:
        >>> parse_value("-1"), parse_value("#ff8000")
        (-1, (255, 128, 0))
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[+-]?[0-9]{1,10}", text):
            return int(text)
        if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            return tuple(bytes.fromhex(text[1:]))
    elif np.shape(value) == (3,):
        return tuple(int(one) for one in value)
    raise UsageError(
        f"values in masks are whole numbers or colours, not {value!r}",
        "give for example class_values=[0, 127, '#ff0000'] or ignore_class=255",
        'say for example --class-values 0,127,254 or "#000000,#ff0000", and --ignore-class 255',
    )


@dataclass(frozen=True)
class MaskRule:
    """How masks are read: their kind, their classes, and what is not annotated.

    Attributes:
        kind: One of `KINDS`.
        values: Stored values, or all colours, in order of the class number; None if masks hold the
            numbers.
        ignored: Stored value, or colour, of pixels without annotation; None for none.
        num_classes: Number of classes, of which some may not occur; None to count them.
    """

    kind: str = "auto"
    values: tuple[Any, ...] | None = None
    ignored: Any = None
    num_classes: int | None = None

    @classmethod
    def of(cls, kind: str, values: Any, ignored: Any, num_classes: int | None) -> MaskRule:
        """Checks the arguments of `read_folder`.

        Raises:
            ValueError: If they do not fit together.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}. Received: kind={kind!r}")
        if isinstance(values, str):
            values = values.split(",")
        if values is not None:
            values = tuple(parse_value(value) for value in values)
        ignored = None if ignored is None else parse_value(ignored)
        rule = cls(kind, values, ignored, num_classes)
        rule._check_classes()
        table = [*(values or ()), *([] if ignored is None else [ignored])]
        if len(set(table)) < len(table):
            raise UsageError(
                f"values of classes and the ignored one must all differ, here {_shown(table)}",
                "give each value once",
            )
        if len({isinstance(value, int) for value in table}) > 1 or (rule.in_colours and not values):
            raise UsageError(
                "the values of all classes and the ignored one must be whole numbers, or all "
                f"colours (RGB triples), here {_shown(table)}",
                "give class_values and ignore_class of one sort",
                "give --class-values and --ignore-class of one sort",
            )
        if (values is not None or (num_classes or 0) > 2) and kind == "auto":
            return cls("classes", values, ignored, num_classes)
        return rule

    def _check_classes(self) -> None:
        count = self.num_classes
        if self.values is not None and len(self.values) < 2:
            raise UsageError(
                f"one value for the classes, {_shown(self.values)}, is not enough",
                "give at least two class_values, that of the background first",
                "give --class-values at least two, that of the background first",
            )
        if count is not None and (not isinstance(count, int) or count < 2):
            raise UsageError(
                f"the number of classes counts the background, so it is at least 2, not {count}",
                "give num_classes=2 or more",
                "say --num-classes 2 or more",
            )
        if count is not None and self.values is not None and count < len(self.values):
            raise UsageError(
                f"{len(self.values)} values of classes are more than {count} classes",
                "raise num_classes, or leave it away",
                "raise --num-classes, or leave it away",
            )
        if self.kind in ("auto", "classes"):
            return
        if self.values is not None or (count or 2) > 2:
            raise UsageError(
                f"masks of the kind {self.kind} have no classes to name or to count",
                "class_values and num_classes need kind='classes'",
                "say --kind classes, or leave --class-values and --num-classes away",
            )

    @property
    def in_colours(self) -> bool:
        """Whether values are colours."""
        known = [*(self.values or ()), self.ignored]
        return any(isinstance(value, tuple) for value in known)

    @property
    def colors(self) -> Any:
        """`colors` of `read_labels`."""
        if self.in_colours:
            return [*(self.values or ()), *([] if self.ignored is None else [self.ignored])]
        return "ids" if self.kind == "instances" else None

    def annotations(self, labels: Labels, files: Files) -> Annotations:
        """What the masks say, as arguments of `Sample`.

        Args:
            labels: As `read_labels` with `colors` gives them.
            files: Where they are from, for messages.

        Raises:
            ValueError: If they contradict the rule; the message shows the values and what to say.
        """
        values, ignored = self.values, self.ignored
        if self.in_colours:  # the reader turned colour k into k, and the ignored one into the last
            count = len(values or ())
            values, ignored = tuple(range(count)), None if ignored is None else count
        known = [None if ignored is None else label != ignored for label in labels]
        fill = values[0] if values else 0
        if ignored is not None:
            labels = [np.where(label == ignored, fill, label) for label in labels]
        if values is None:
            _check_not_negative(labels, files)
        kind = guess_kind(labels, files[0].parent) if self.kind == "auto" else self.kind
        if kind == "binary":
            found = binary_annotations(labels, files)
        elif kind == "instances":
            found = [{"instances": label} for label in labels]
        else:
            seen = [
                one if here is None else one[here] for one, here in zip(labels, known, strict=True)
            ]
            values = values or _class_numbers(seen, files, self.num_classes)
            found = class_annotations(labels, files, values)
        if ignored is None:
            return found
        return [one | {"annotated": here} for one, here in zip(found, known, strict=True)]


def _check_not_negative(labels: Labels, files: Files) -> None:
    for label, file in zip(labels, files, strict=True):
        if label.min() < 0:
            shown = _shown(distinct(label[label < 0]).tolist())
            raise UsageError(
                f"{file} holds values below 0: {shown}",
                f"give ignore_class={label.min()} if these pixels are not annotated",
                f"say --ignore-class {label.min()} if these pixels are not annotated",
            )


def guess_kind(labels: Labels, folder: Path) -> str:
    """`"binary"` or `"instances"` where all masks together leave no doubt.

    Raises:
        ValueError: If they do; the message shows the values and what to pass.
    """
    values = [distinct(label) for label in labels]
    seen = np.unique(np.concatenate(values)).tolist()
    if set(seen) <= {0, 1} or set(seen) <= {0, 255}:
        return "binary"
    richest = int(np.argmax([len(v) for v in values]))
    if len(values[richest]) > MANY_IDS + 1 and pieces_per_id(labels[richest]) < 1.1:
        return "instances"
    raise UsageError(
        f"{folder}: the masks hold the values {_shown(seen)}, which can mean several things",
        "pass kind='instances' (an id per object), kind='classes' (a number per class, with "
        "class_values if they are not 0, 1, 2, ...) or kind='binary'",
        "say --kind instances (an id per object), --kind classes (a number per class, with "
        "--class-values if they are not 0, 1, 2, ...) or --kind binary",
    )


def binary_annotations(labels: Labels, files: Files) -> Annotations:
    """The one value beside 0 is foreground; its 4- (3-D: 6-) connected parts are the instances."""
    annotations = []
    for label, file in zip(labels, files, strict=True):
        values = distinct(label).tolist()
        if len(set(values) - {0}) > 1:
            raise UsageError(
                f"{file}: a binary mask holds 0 and one other value, this one {_shown(values)}",
                "pass kind='instances' or kind='classes', or ignore_class for pixels without "
                "annotation",
                "say --kind instances or --kind classes, or --ignore-class for pixels without "
                "annotation",
            )
        annotations.append({"instances": connected_components(label)})
    return annotations


def _class_numbers(labels: Labels, files: Files, num_classes: int | None) -> tuple[int, ...]:
    """0, 1, 2, ...: as many as there are classes, which the masks show unless they are told."""
    seen = np.unique(np.concatenate([distinct(label) for label in labels])).tolist()
    if num_classes is None and seen == list(range(len(seen))):
        return tuple(seen) or (0,)
    if num_classes is None or (seen and seen[-1] >= num_classes):
        wanted = "0, 1, 2, ... without a gap" if num_classes is None else f"0..{num_classes - 1}"
        advice = _shown(seen).replace(" ", "") if len(seen) <= 12 else "0,127,254"
        raise UsageError(
            f"{files[0].parent}: the masks hold the values {_shown(seen)}, which are not class "
            f"numbers {wanted}",
            "pass class_values=[...] in order of the class number, ignore_class for pixels without "
            "annotation, or num_classes if some classes do not occur",
            f"say --class-values {advice} in order of the class number, --ignore-class for pixels "
            "without annotation, or --num-classes if some classes do not occur",
        )
    return tuple(range(num_classes))


def class_annotations(labels: Labels, files: Files, values: Sequence[int]) -> Annotations:
    """Class numbers from stored values."""
    order = np.argsort(values)
    ascending = np.asarray(values)[order]
    annotations = []
    for label, file in zip(labels, files, strict=True):
        strange = sorted(set(distinct(label).tolist()) - set(values))
        if strange:
            raise UsageError(
                f"{file} holds {_shown(strange)}, which is no value of a class "
                f"({_shown(values)}) and not ignored",
                "name every value in class_values, and in ignore_class that of pixels without "
                "annotation",
                "name every value in --class-values, and in --ignore-class that of pixels without "
                "annotation",
            )
        annotations.append({"classes": order[np.searchsorted(ascending, label)]})
    return annotations


def _shown(values: Sequence[Any]) -> str:
    return listed(values, most=12)
