"""A segmenter from whatever a function takes in its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from keras_unet.inference.segmenter import Segmenter


def opened(
    source: str | os.PathLike | Segmenter | Callable[[], Segmenter], **changes: Any
) -> Segmenter:
    """The segmenter of a run folder, of an exported file or of a function that makes it.

    The changes are made where they are not None.
    """
    if isinstance(source, (str, os.PathLike)):
        segmenter = Segmenter.load(source)
    else:
        segmenter = source if isinstance(source, Segmenter) else source()
    given = {name: value for name, value in changes.items() if value is not None}
    return segmenter.replace(**given) if given else segmenter
