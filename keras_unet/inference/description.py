"""The `.json` file beside an exported network: what it is, and how it is to be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet.inference.storage import read_versioned, versions, with_margin

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

FORMAT_VERSION = 2
TOLD = (
    *("class_names", "geometry", "margin", "normalization", "reading"),
    *("resolution", "target"),
)
"""Parts of a segmenter's configuration that a user of its outputs needs."""


def describe(segmenter: Segmenter, **more: Any) -> dict[str, Any]:
    """What a user of an exported network must know, plain values.

    Args:
        segmenter: The segmenter that is exported.
        **more: What the format adds, such as `output`: "logits", "probabilities" or "classes".

    Returns:
        Class names, geometry, margin, normalization, reading, resolution, target, versions, and
        `more`.
    """
    import tensorflow as tf

    config = segmenter.get_config()
    return {
        "format_version": FORMAT_VERSION,
        "model": segmenter.model.name,
        **{name: config[name] for name in TOLD},
        "rank": segmenter.geometry.rank,
        "channels": segmenter.channels,
        **more,
        "versions": {**versions(), "tensorflow": tf.__version__},
    }


def read_description(file: Path) -> dict[str, Any]:
    """Reads the description of an exported file.

    Args:
        file: The exported file; the description has the same name and ends in `.json`.

    Returns:
        The description.

    Raises:
        ValueError: If one of both files is missing, or the description is damaged or newer.
    """
    beside = file.with_suffix(".json")
    for needed in (file, beside):
        if not needed.is_file():
            raise ValueError(
                f"{needed} is missing; an export is {file.name} and {beside.name}, copy both"
            )
    return with_margin(read_versioned(beside, FORMAT_VERSION, "export the network again")[0])
