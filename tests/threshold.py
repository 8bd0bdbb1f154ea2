"""A segmenter of NumPy alone: bright pixels are objects. Quick, and its answer is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_unet import Segmenter, UNetGeometry
from keras_unet.inference.engines.base import Engine
from keras_unet.normalization import Normalization
from keras_unet.targets import ClassTarget


class Threshold(Engine):
    """Probability 1 of an object where the first channel exceeds a number."""

    name = "threshold"
    num_outputs = 2
    gives = "probabilities"

    def __init__(self, above: float = 0.5, rank: int = 2, channels: int | None = 1) -> None:
        self.above = above
        self.input_shape = (*(None,) * rank, channels)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        bright = batch[..., 0] > self.above
        return np.stack([~bright, bright], axis=-1).astype(np.float32)

    def content(self) -> Iterator[bytes]:
        yield repr(self.above).encode()


def threshold_segmenter(rank: int = 2, channels: int | None = 1, above: float = 0.5) -> Segmenter:
    geometry = UNetGeometry(depth=1, convs_per_level=1, padding="same", rank=rank)
    engine = Threshold(above, rank, channels)
    return Segmenter(engine, ClassTarget(weights=None), Normalization("unit"), geometry=geometry)
