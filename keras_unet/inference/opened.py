"""A segmenter from whatever a function takes in its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from keras_unet.inference.segmenter import Segmenter


def opened(
    source: str | os.PathLike | Segmenter | Callable[[], Segmenter],
    engine: str = "auto",
    **changes: Any,
) -> Segmenter:
    """The segmenter of a run folder, of an exported file or of a function that makes it.

    Args:
        source: One of these, or the segmenter itself, which has its engine.
        engine: As for `Segmenter.load`. Defaults to "auto".
        **changes: Arguments of `Segmenter.replace`; those that are None are left as they are.
    """
    if isinstance(source, (str, os.PathLike)):
        segmenter = Segmenter.load(source, engine)
    else:
        segmenter = source if isinstance(source, Segmenter) else source()
        if engine not in ("auto", segmenter.engine.name):
            raise ValueError(
                f"the segmenter is run by {segmenter.engine.name!r}; choose another engine when it "
                f"is loaded, or leave engine away. Received: engine={engine!r}"
            )
    given = {name: value for name, value in changes.items() if value is not None}
    return segmenter.replace(**given) if given else segmenter
