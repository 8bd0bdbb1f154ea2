"""What an exported file tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from keras_unet.inference.storage import versions

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

FORMAT_VERSION = 1
TOLD = ("class_names", "geometry", "normalization", "resolution", "target")
"""Parts of a segmenter's configuration that a user of its outputs needs."""


def describe(segmenter: Segmenter) -> dict[str, Any]:
    """Class names, geometry, normalisation, resolution, target and versions, plain values."""
    config = segmenter.get_config()
    return {
        "format_version": FORMAT_VERSION,
        "model": segmenter.model.name,
        **{name: config[name] for name in TOLD},
        "rank": segmenter.geometry.rank,
        "channels": segmenter.channels,
        "versions": {**versions(), "tensorflow": tf.__version__},
    }
