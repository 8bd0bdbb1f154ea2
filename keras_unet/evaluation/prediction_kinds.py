"""What the numbers in predictions of other programs mean: instances, classes or probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_unet.errors import SHOWN, UsageError, listed
from keras_unet.evaluation.matching import PageOfFile
from keras_unet.objects.instance_maps import relabel
from keras_unet.objects.labelling import pieces_per_id
from keras_unet.objects.runs import distinct

if TYPE_CHECKING:
    from keras_unet.sample import Sample

PIECES = 2.0
"""Ids of objects are in fewer connected parts than this on average; classes and greys in more."""


class StoredMap(NamedTuple):
    """The numbers of one prediction.

    Attributes:
        source: Where they are from.
        values: `(*spatial)`, or `(*spatial, K)` for a plane a class.
        bits: Of an integer file; 0 for float.
        sample: What was to be predicted.
    """

    source: PageOfFile
    values: np.ndarray
    bits: int
    sample: Sample

    @property
    def has_planes(self) -> bool:
        """Whether there is a class axis."""
        return self.values.ndim > self.sample.rank


Maps = list[StoredMap]


def guess_kind(maps: Maps, grey_is_probability: bool) -> str:
    """`"instances"`, `"classes"` or `"probabilities"`, by all maps together.

    Raises:
        ValueError: If nothing fits; the message shows the values and what to say.
    """
    if any(not stored.bits and not _is_whole(stored.values) for stored in maps):
        return "probabilities"
    if is_binary(maps):
        return "classes"
    if grey_is_probability and all(stored.bits == 8 for stored in maps):
        return "probabilities"
    if all(stored.sample.instances is None for stored in maps):
        return "classes"
    richest = max(maps, key=lambda stored: len(distinct(stored.values)))
    if pieces_per_id(richest.values.astype(np.int64)) < PIECES:
        return "instances"
    raise ValueError(
        f"{richest.source} looks neither like instances (its ids are scattered over the image) "
        "nor like a binary mask; say --predictions classes or --predictions probabilities. "
        f"Received: values {_shown(richest.values)}"
    )


def is_binary(maps: Maps) -> bool:
    """Whether all maps together hold 0 and 1, or 0 and 255, and nothing else."""
    seen = set(_values_of(maps).tolist())
    return seen <= {0, 1} or seen <= {0, 255}


def num_classes_of(maps: Maps) -> int:
    """Number of classes in the truth, at least 2."""
    return max(2, 1 + max(int(stored.sample.class_map().max()) for stored in maps))


def to_instances(maps: Maps, membrane: bool) -> tuple[Maps, str]:
    """Checks maps of ids and numbers the ids 1, 2, ...; also says in words what they are."""
    for stored in maps:
        if stored.sample.instances is None:
            raise ValueError(
                f"sample {stored.sample.name!r} has classes but no instances; say --predictions "
                f"classes. Received: instances in {stored.source}"
            )
    if membrane:
        raise _not_turned(maps[0])
    found = [stored._replace(values=relabel(_labels(stored))) for stored in maps]
    return found, "instances, an id per object"


def to_classes(maps: Maps, membrane: bool) -> tuple[Maps, str]:
    """Checks class maps and turns binary masks into 0 and 1."""
    maps = [stored._replace(values=_labels(stored)) for stored in maps]
    if is_binary(maps):
        what = "membrane" if membrane else "the foreground"
        cells = [s._replace(values=((s.values > 0) != membrane).astype(np.int32)) for s in maps]
        return cells, f"binary masks of {what}"
    if membrane:
        raise _not_turned(maps[0])
    beyond = [value for value in _values_of(maps).tolist() if value >= num_classes_of(maps)]
    if beyond and beyond[-1] >= num_classes_of(maps) + len(beyond):
        worst = max(maps, key=lambda stored: stored.values.max())
        raise ValueError(
            f"{worst.source} must hold class numbers 0, 1, 2, ... without a gap. "
            f"Received: values {_shown(worst.values)}"
        )
    return maps, "classes"


def to_probabilities(maps: Maps, membrane: bool) -> tuple[Maps, str]:
    """Scales maps to 0..1, float32, and gives all of them a plane for each class."""
    scaled = max(stored.values.max() for stored in maps) > 1
    converted, words = [], set()
    for stored in maps:
        full = 2**stored.bits - 1 if stored.bits and scaled else 1
        values = full - stored.values if membrane else stored.values
        values = (values / full).astype(np.float32)
        if stored.bits > 16 or not (values.min() >= 0 and values.max() <= 1):  # NaN fails too
            raise ValueError(
                f"{stored.source} must hold probabilities: 0..1, or integers of 8 or 16 bits. "
                f"Received: {stored.values.min()}..{stored.values.max()}"
            )
        if stored.has_planes and membrane:
            raise _not_turned(stored)
        what = "each class" if stored.has_planes else "membrane" if membrane else "the foreground"
        words.add(f"probabilities of {what}" + (f", values / {full}" if full > 1 else ""))
        if not stored.has_planes:
            values = np.stack([1 - values, values], axis=-1)
        converted.append(stored._replace(values=values))
    return converted, "; ".join(sorted(words))


CONVERTERS: dict[str, Callable[[Maps, bool], tuple[Maps, str]]] = {
    "instances": to_instances,
    "classes": to_classes,
    "probabilities": to_probabilities,
}


def _not_turned(stored: StoredMap) -> ValueError:
    return UsageError(
        f"{stored.source} holds the values {_shown(stored.values)}, and only binary masks and "
        "probability maps of one plane can show the membrane",
        "leave membrane away",
        "leave --membrane away",
    )


def _labels(stored: StoredMap) -> np.ndarray:
    if stored.has_planes or not (stored.bits or _is_whole(stored.values)):
        raise ValueError(
            f"{stored.source} must hold whole numbers, one a pixel; say --predictions "
            f"probabilities. Received: shape {stored.values.shape}, values {_shown(stored.values)}"
        )
    return stored.values.astype(np.int32)


def _is_whole(values: np.ndarray) -> bool:
    return np.array_equal(values, np.rint(values))


def _values_of(maps: Sequence[StoredMap]) -> np.ndarray:
    return np.unique(np.concatenate([distinct(stored.values) for stored in maps]))


def _shown(values: np.ndarray) -> str:
    seen = distinct(values)
    return listed(f"{value:g}" for value in seen[: SHOWN + 1])
