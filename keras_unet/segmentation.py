"""The result of segmenting one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What `Segmenter.predict` gives, in the image's spatial shape.

    Attributes:
        probabilities: `(*spatial, K)` float32, the target's activated outputs; those of a
            `ClassTarget` sum to 1.
        classes: `(*spatial)` int32 class map.
        instances: `(*spatial)` int32, 0 = background, one id 1..N per object.
    """

    probabilities: np.ndarray
    classes: np.ndarray
    instances: np.ndarray

    @property
    def count(self) -> int:
        """Number of objects."""
        return int(np.count_nonzero(self.areas))

    @property
    def areas(self) -> np.ndarray:
        """Pixels of the objects 1..N, int64 `(N,)`."""
        return np.bincount(self.instances.ravel())[1:]
