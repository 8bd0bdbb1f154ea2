"""A checksum by which a segmenter is known again, for work that goes on later."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

CHOSEN = ("tta", "max_tile", "margin", "reading")
"""Arguments that are no part of the model: a call may choose others."""


def fingerprint(segmenter: Segmenter) -> str:
    """SHA-256 of the network's numbers and of what is done before and after it.

    Equal for one model in every process; `tta`, `max_tile`, `margin` and `reading` have no part in
    it.

    Args:
        segmenter: The segmenter.

    Returns:
        64 hexadecimal digits.
    """
    config = segmenter.get_config()
    plain = {name: config[name] for name in sorted(config.keys() - set(CHOSEN))}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode())
    for part in segmenter.engine.content():
        digest.update(part)
    return digest.hexdigest()
