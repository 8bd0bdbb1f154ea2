"""What every target is: how instances become what a network learns, and back again."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from keras_unet._arguments import arguments_of, parameters_of

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

    A target knows its number of output channels, its loss and its metrics, and carries its rules
    to every engine: `activate` and `pixel_classes` are written once, for NumPy and `keras.ops`. A
    new idea of what a network should learn is a subclass, anywhere; its `name` makes it known to
    recipes, run folders and exports.
    """

    name: ClassVar[str]
    """Name in recipes, run folders and exported files."""

    needs_instances: ClassVar[bool] = True
    """Whether it learns from instances; False where a class map is enough."""

    exportable: ClassVar[bool] = True
    """Whether `activate` and `pixel_classes` work on `keras.ops`, as exports need it."""

    heads: ClassVar[tuple[str, ...]] = ()
    """Names of the outputs that a network must have beside its logits to be trained with it."""

    ignore_class: ClassVar[int] = -1
    """Label of pixels without annotation in the encoded class map; their weight is zero too."""

    known: ClassVar[dict[str, type[Target]]] = {}
    """Name -> class of every target that has been defined in this process."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):
            Target.known[cls.name] = cls

    @property
    def num_classes(self) -> int:
        """Classes of the decoded class map, background included."""
        return 2

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
    def activate(self, logits: Any, ops: Any = np) -> Any:
        """The network's outputs -> maps of probabilities and the like, float32.

        Args:
            logits: `(..., num_outputs)`, an array of the library that `ops` is of.
            ops: `numpy` or `keras.ops`; give `targets.activations` the same. Defaults to `numpy`.

        Returns:
            An array of the same library and shape, equal to the bit for both.
        """

    def takes(self, channels: int) -> bool:
        """Whether a network of so many output channels can be trained for the target."""
        return channels == self.num_outputs

    def widen(self, outputs: Any, are_logits: bool, ops: Any = np) -> Any:
        """The outputs of a network that `takes` allows, as `activate` knows them.

        Args:
            outputs: `(..., channels)`, an array of the library that `ops` is of.
            are_logits: Whether they are logits, else what `activate` gives.
            ops: `numpy` or `keras.ops`. Defaults to `numpy`.

        Returns:
            `(..., num_outputs)`.
        """
        return outputs

    def look_activated(self, outputs: np.ndarray) -> bool:
        """Whether values look like what `activate` gives, and not like logits."""
        return False

    @abstractmethod
    def pixel_classes(self, maps: Any, ops: Any = np) -> Any:
        """The class of every pixel by itself, int32 `(...)`, of maps `(..., num_outputs)`.

        What needs whole objects, such as their smallest size, is left to `decode`.
        """

    @abstractmethod
    def decode(self, probabilities: np.ndarray) -> Decoded:
        """Activated outputs `(*spatial, num_outputs)` of one image -> classes and instances."""

    def foreground(self, maps: Any, ops: Any = np) -> Any:
        """Probability that a pixel is not background, `(...)`, of maps `(..., num_outputs)`."""
        # A sum of what is given: one minus the background would move values across a threshold.
        return ops.clip(ops.sum(maps[..., 1:], axis=-1), 0, 1)

    def maps_of(self, classes: np.ndarray) -> np.ndarray:
        """Maps of 0 and 1, float32 `(..., num_outputs)`, whose `pixel_classes` are these."""
        if self.num_outputs != self.num_classes:
            raise ValueError(
                f"target {self.name!r} cannot be decoded from classes; export probabilities. "
                "Received: a class map"
            )
        return np.eye(self.num_outputs, dtype=np.float32)[classes]

    @classmethod
    def for_samples(
        cls, options: dict[str, Any], pixels: Sequence[int], spacing: Sequence[float] | None
    ) -> dict[str, Any]:
        """Completes a recipe's options by what follows from the training samples.

        Args:
            options: What the recipe says.
            pixels: Annotated pixels of each class.
            spacing: Size of a pixel along each axis where pixels are no squares, else None.

        Returns:
            The constructor's arguments.

        Raises:
            ValueError: If an option needs what the samples do not show.
        """
        if options.get("class_weights") == "balanced":
            raise ValueError(
                f"target {cls.name!r} does not count classes; give class_weights as numbers. "
                "Received: class_weights='balanced'"
            )
        if spacing and "spacing" in parameters_of(cls):
            return {"spacing": list(spacing), **options}
        return options

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values: the attributes of the same names."""
        return {name: copy.copy(value) for name, value in arguments_of(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Target:
        """Makes the target from `get_config`."""
        return cls(**config)


def check_channels(values: Any, channels: int, name: str, ops: Any = np) -> Any:
    """The values, in NumPy as float32; raises a `ValueError` for another number of channels."""
    if ops is np:
        values = np.asarray(values, np.float32)
    if len(values.shape) < 2 or values.shape[-1] != channels:
        raise ValueError(
            f"{name} must be (*spatial, {channels}). Received: {name}.shape={tuple(values.shape)}"
        )
    return values
