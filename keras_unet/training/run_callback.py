"""What the callbacks of a run have in common."""

from __future__ import annotations

import keras


class RunCallback(keras.callbacks.Callback):
    """A callback whose arguments are the fields of a dataclass."""

    def __post_init__(self) -> None:
        super().__init__()
