"""What every target is: how instances become what a network learns, and back again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import keras


class Decoded(NamedTuple):
    """What `Target.decode` gives.

    Attributes:
        classes: Class map, int32, the spatial shape of the probabilities.
        instances: Instance ids, int32, same shape, 0 = background.
    """

    classes: np.ndarray
    instances: np.ndarray


class Target(ABC):
    """A matched pair: the encoding of annotations and the decoding of a network's outputs.

    A target knows its number of output channels, its loss and its metrics. A new idea of what a
    network should learn is a subclass in a file of its own, added to `TARGETS` of the package.
    """

    name: ClassVar[str]
    """Name in recipes and run folders."""

    ignore_class: ClassVar[int] = -1
    """Label of pixels without annotation in the encoded class map; their weight is zero too."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Channels of the network's logits."""

    @property
    @abstractmethod
    def halo(self) -> int:
        """Pixels that `encode` must see around those that are kept, for an exact encoding."""

    @property
    def target_channels(self) -> int | None:
        """Channels of the encoded `y`; None where it is an integer map without a channel axis."""
        return None

    @abstractmethod
    def encode(
        self,
        instances: np.ndarray | None,
        classes: np.ndarray | None = None,
        annotated: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encodes one annotated image (or window).

        Args:
            instances: Integer ids `(*spatial)`, 0 = background; None for semantic data, which has
                a class map only.
            classes: Integer class map of the same shape, or None to derive it from instances.
            annotated: Boolean map of the same shape, or None for everywhere.

        Returns:
            `(y, weights)`: `y` int32 `(*spatial)` or float32 `(*spatial, target_channels)`, and the
            per-pixel weights, float32 `(*spatial)`.
        """

    @abstractmethod
    def loss(self) -> keras.losses.Loss:
        """The loss that `compile` takes, on logits."""

    @abstractmethod
    def metrics(self) -> Sequence[keras.metrics.Metric]:
        """New streaming metrics that `compile` takes, on logits."""

    @abstractmethod
    def activate(self, logits: np.ndarray) -> np.ndarray:
        """Logits `(..., num_outputs)` -> probabilities of the same shape, float32, NumPy."""

    @abstractmethod
    def decode(self, probabilities: np.ndarray) -> Decoded:
        """Activated outputs `(*spatial, num_outputs)` of one image -> classes and instances."""

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Target:
        """Makes the target from `get_config`."""
        return cls(**config)


def check_channels(values: np.ndarray, channels: int, name: str) -> np.ndarray:
    """`values` as float32; raises a `ValueError` unless the last axis has `channels` entries."""
    values = np.asarray(values, np.float32)
    if values.ndim < 2 or values.shape[-1] != channels:
        raise ValueError(
            f"{name} must be (*spatial, {channels}). Received: {name}.shape={values.shape}"
        )
    return values
