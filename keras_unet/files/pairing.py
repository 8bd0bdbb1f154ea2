"""Which mask belongs to which image: one rule for training, evaluation and predictions."""

from __future__ import annotations

import difflib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_unet.errors import SHOWN, UsageError, counted
from keras_unet.files.names import (
    IMAGE_ENDINGS,
    MASK_ENDINGS,
    split_number,
    stem_of,
    without_ending,
)

logger = logging.getLogger("keras_unet")

CHANNEL = "_0000"
"""Ending of the first channel where every channel is a file of its own."""

Key = str | int
Keys = tuple[list[Key], list[Key]]
Rule = Callable[[list[str], list[str], Sequence[str]], Keys | None]
"""Names of images, names of masks and the endings of masks -> what must agree; None if unfit."""


@dataclass(frozen=True)
class Pairing:
    """Pairs masks with images by their names.

    The first of these rules that pairs all of them decides:

    1. the names are equal, maybe without a known ending such as `_img` of images and `_mask`,
       `_cp_masks` of masks;
    2. so they are without the ending `_0000` (the first channel) that all images have;
    3. the numbers at their ends are, where the same text precedes them in all images, and one in
       all masks: `img_01` and `lbl1`.

    Those after the first are said in a warning. Names are compared in composed form (NFC).

    Attributes:
        images: What messages call the images, such as "images in data/images".
        masks: What messages call the masks.
        endings: Known endings of masks. Defaults to `MASK_ENDINGS`.
        partial: Whether masks of other images are left out. Defaults to False: they are an error.
        by_order: Whether names that have no digit, and of which no two agree, are paired in sorted
            order, as many as there are. Defaults to False.
    """

    images: str
    masks: str
    endings: Sequence[str] = MASK_ENDINGS
    partial: bool = False
    by_order: bool = False

    def __call__(self, images: Sequence[str], masks: Sequence[str]) -> list[str]:
        """The mask of every image.

        Args:
            images: Names without suffix, no two equal.
            masks: The same of masks.

        Returns:
            One of `masks` for each image.

        Raises:
            UsageError: If not all can be paired, or one image has two masks.
        """
        names = _composed(images), _composed(masks)
        for rule, said in RULES.items():
            if rule is _by_order and not self.by_order:
                break
            keys = rule(*names, self.endings)
            found = None if keys is None else self._paired(*keys)
            if found is not None:
                paired = [masks[place] for place in found]
                if said:
                    pairs = [f"{a} with {b}" for a, b in zip(images, paired, strict=True)]
                    logger.warning(
                        "%s and %s are paired %s: %s", self.images, self.masks, said, counted(pairs)
                    )
                return paired
        raise self._refused(*names)

    def _paired(self, images: list[Key], masks: list[Key]) -> list[int] | None:
        """The place of every image's mask; None if one lacks, is in excess or not the only one."""
        count = Counter(masks)
        if len(set(images)) < len(images) or any(count[key] != 1 for key in images):
            return None
        if len(masks) > len(images) and not self.partial:
            return None
        place = {key: index for index, key in enumerate(masks)}
        return [place[key] for key in images]

    def _refused(self, images: list[str], masks: list[str]) -> UsageError:
        """What does not match, and what would."""
        tried = [rule(images, masks, self.endings) for rule in (_by_name, _by_channel, _by_number)]
        keys = max(filter(None, tried), key=lambda keys: len({*keys[0]} & {*keys[1]}))
        by_image, by_mask = (_by_key(*one) for one in zip((images, masks), keys, strict=True))
        for key, names in by_image.items():
            partners = by_mask.get(key, [])
            if partners and len(names) + len(partners) > 2:
                return UsageError(
                    f"{counted(names)} of the {self.images} and {counted(partners)} of the "
                    f"{self.masks} have one name",
                    "leave one of both there",
                )
        channels = _channels_of_one(images, by_mask)
        if channels:
            return UsageError(
                f"{self.images}: {counted(channels)} look like the channels of one image as files "
                "of their own",
                "save all channels of an image in one TIFF",
            )
        alone = [name for key, names in by_image.items() for name in names if key not in by_mask]
        orphans = [name for key, names in by_mask.items() for name in names if key not in by_image]
        return UsageError(
            f"the {len(images):,} {self.images} and the {len(masks):,} {self.masks} do not match "
            f"by name: {counted(alone)} lack a partner, {counted(orphans)} are left over"
            f"{_nearly(alone, orphans)}",
            f"give both one name, in which images may end in {_endings(IMAGE_ENDINGS)} and "
            f"masks in {_endings(self.endings)}, or number both"
            if alone
            else "move those away",
        )


# === The rules ===


def _by_name(images: list[str], masks: list[str], endings: Sequence[str]) -> Keys:
    same = set(images) & set(masks)
    return _keys(images, same, IMAGE_ENDINGS), _keys(masks, same, endings)


def _keys(names: list[str], same: set[str], endings: Sequence[str]) -> list[Key]:
    return [name if name in same else without_ending(name, endings) for name in names]


def _by_channel(images: list[str], masks: list[str], endings: Sequence[str]) -> Keys | None:
    if not all(name.endswith(CHANNEL) for name in images):
        return None
    return _by_name([name.removesuffix(CHANNEL) for name in images], masks, endings)


def _by_number(images: list[str], masks: list[str], endings: Sequence[str]) -> Keys | None:
    keys = []
    for names, known in ((images, IMAGE_ENDINGS), (masks, endings)):
        parts = [split_number(without_ending(name, known)) for name in names]
        numbers: list[Key] = [number for _, number in parts if number is not None]
        if len({text for text, _ in parts}) > 1 or len(numbers) < len(names):
            return None
        keys.append(numbers)
    return keys[0], keys[1]


def _by_order(images: list[str], masks: list[str], endings: Sequence[str]) -> Keys | None:
    known, wanted = _by_name(images, masks, endings)
    if set(known) & set(wanted) or any(re.search(r"\d", name) for name in (*images, *masks)):
        return None
    return _ranks(images), _ranks(masks)


def _ranks(names: list[str]) -> list[Key]:
    place = {name: index for index, name in enumerate(sorted(names))}
    return [place[name] for name in names]


RULES: dict[Rule, str] = {
    _by_name: "",
    _by_channel: f"without the ending {CHANNEL}",
    _by_number: "by number",
    _by_order: "in the order of their names",
}
"""Rule -> what is said when it decides."""


# === For messages ===


def _by_key(names: list[str], keys: list[Key]) -> dict[Key, list[str]]:
    found: dict[Key, list[str]] = {}
    for name, key in zip(names, keys, strict=True):
        found.setdefault(key, []).append(name)
    return found


def _channels_of_one(images: list[str], by_mask: Iterable[Key]) -> list[str]:
    """Images `NAME_0000`, `NAME_0001`, ... of the first mask called `NAME` that has several."""
    numbered = [name for name in images if re.fullmatch(r".+_000[0-9]", name)]
    channels = _by_key(numbered, [name[: -len(CHANNEL)] for name in numbered])
    return next((channels[key] for key in by_mask if len(channels.get(key, ())) > 1), [])


def _nearly(alone: list[str], orphans: list[str]) -> str:
    for name in alone[:SHOWN]:
        near = difflib.get_close_matches(name, orphans, n=1, cutoff=0.4)
        if near:
            return f" (nearest: {name} and {near[0]})"
    return ""


def _endings(names: Sequence[str]) -> str:
    return ", ".join(f"_{name}" for name in names)


def _composed(names: Sequence[str]) -> list[str]:
    return [unicodedata.normalize("NFC", name) for name in names]


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Files by their names without suffix.

    Raises:
        UsageError: If two have the same.
    """
    found: dict[str, Path] = {}
    for file in files:
        name = stem_of(file)
        if name in found:
            raise UsageError(
                f"there are two files for one name: {found[name]} and {file}",
                "leave one of them there",
            )
        found[name] = file
    return found
