"""The groups of a recipe that have a fixed set of fields, each checked when it is made."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from keras_unet._arguments import check_one_of, shown
from keras_unet.data.resolution import HIGHEST, LOWEST
from keras_unet.evaluation.scores import MONITORS
from keras_unet.normalization import MODES, Normalization
from keras_unet.training.recipe_checks import check_arguments, check_names, convert

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("default", "mirrored")
"""Names that `training.make_strategy` knows."""

AnyGroup = TypeVar("AnyGroup", bound="Group")


def _choices(*choices: Any) -> dict[str, Any]:
    """The limits of a field that holds one of the choices."""
    return {"choices": choices}


def _between(low: float, high: float) -> dict[str, Any]:
    """The limits of a field that holds a number, or several; both may be reached."""
    return {"low": low, "high": high}


def _at_least(low: float, high: float) -> dict[str, Any]:
    """The same, with a high end that nobody should meet."""
    return {"low": low, "high": high, "open": True}


_POSITIVE = {"positive": True}
LARGEST = 2**16
"""Channels, tiles and pixels along an axis."""
LONGEST = 10**9
"""Steps and what is counted in them."""
HIGHEST_RATE = 1e30


@dataclass(frozen=True)
class Group:
    """Fields with types and limits; a value that does not fit is an error with the field's path."""

    group: ClassVar[str]
    """Name of the recipe's field that holds the group."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for item in fields(self):
            path = f"{self.group}.{item.name}"
            value = convert(path, getattr(self, item.name), hints[item.name])
            object.__setattr__(self, item.name, value)
            _check_limits(path, value, item.metadata)

    @classmethod
    def of(cls: type[AnyGroup], values: Any) -> AnyGroup:
        """The group from a mapping; what it leaves out has its default.

        Raises:
            ValueError: If a name is unknown or a value does not fit.
        """
        if isinstance(values, cls):
            return values
        if not isinstance(values, Mapping):
            raise ValueError(
                f"{cls.group} must be a mapping of its fields. Received: {shown(values)}"
            )
        check_names(cls.group, values, [item.name for item in fields(cls)])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


def _check_limits(path: str, value: Any, limits: Mapping[str, Any]) -> None:
    if "choices" in limits:
        check_one_of(path, value, limits["choices"])
    if value is None:
        return
    if "positive" in limits and not 0 < value <= HIGHEST_RATE:
        raise ValueError(
            f"{path} must be positive and at most {HIGHEST_RATE:g}. Received: {path}={shown(value)}"
        )
    if "low" in limits:
        low, high = limits["low"], limits["high"]
        values = value if isinstance(value, list) else [value]
        if not all(low <= v <= high for v in values):
            limit = f"between {low} and {high}"
            if "open" in limits:
                limit = f"at least {low}" if min(values) < low else f"at most {high:,}"
            raise ValueError(f"{path} must be {limit}. Received: {path}={shown(value)}")


@dataclass(frozen=True)
class ModelOptions(Group):
    """Arguments that most architectures take, with the defaults of a recipe.

    Args:
        name: Name of the architecture, see `models.list_models()`. Defaults to "unet".
        filters: Channels of the first level; doubled at every level. Defaults to 32.
        depth: Number of poolings. Defaults to 4.
        padding: "same" or "valid" (the paper). Defaults to "same".
        normalization: "batch", "group" or None (the paper), after every convolution. Batch
            statistics need at least 4 tiles in a step; group statistics span a whole tile, so tiled
            prediction then differs from a single pass. Defaults to "batch".
        dropout: Rate at the end of the contracting path (the paper: 0.5). Defaults to 0.
    """

    group: ClassVar[str] = "model"

    name: str = "unet"
    filters: int = field(default=32, metadata=_at_least(1, LARGEST))
    depth: int = field(default=4, metadata=_between(0, 12))
    padding: str = field(default="same", metadata=_choices("valid", "same"))
    normalization: str | None = field(default="batch", metadata=_choices(None, "batch", "group"))
    dropout: float = field(default=0.0, metadata=_between(0, 0.99))


@dataclass(frozen=True)
class ImageOptions(Group):
    """How an image is brought to the network; stored with the model.

    Args:
        normalization: "percentile", "unit", "zscore" or "none": how every image is scaled; or the
            arguments of `Normalization`, such as {mode: percentile, low: 2}. Defaults to
            "percentile".
        resolution: Size of the grid on which the network works, as a fraction of the image's, 0.05
            to 8, one number or one per axis: 0.5 for objects that are large in pixels, 2 for tiny
            ones, [2, 1, 1] for slices twice as far apart as their pixels. Results have the image's
            size in any case. Defaults to 1.
    """

    group: ClassVar[str] = "images"

    normalization: str | dict[str, Any] = "percentile"
    resolution: float | list[float] = field(default=1.0, metadata=_between(LOWEST, HIGHEST))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.make_normalization()

    def make_normalization(self) -> Normalization:
        """The `Normalization` of these options."""
        path = "images.normalization"
        if isinstance(self.normalization, str):
            check_one_of(path, self.normalization, MODES)
            return Normalization(self.normalization)
        return Normalization(**check_arguments(path, Normalization, self.normalization))


@dataclass(frozen=True)
class BatchOptions(Group):
    """The tiles of a training step.

    Args:
        tile: Side of the network's input in working pixels, a legal size, or one per axis. Defaults
            to None: the legal size for about 256 px of output, less where all images are smaller;
            of volumes for 64 px, less along each axis along which all volumes are smaller.
        size: Tiles in a step, over all devices. Defaults to 4.
        sampling: "image" visits every image equally often, "area" in proportion to its size.
            Defaults to "image".
        foreground_fraction: Share of the tiles that are placed around a foreground pixel, for
            images that are nearly empty. Defaults to 0.
    """

    group: ClassVar[str] = "batches"

    tile: int | list[int] | None = field(default=None, metadata=_at_least(1, LARGEST))
    size: int = field(default=4, metadata=_at_least(1, LARGEST))
    sampling: str = field(default="image", metadata=_choices("image", "area"))
    foreground_fraction: float = field(default=0.0, metadata=_between(0, 1))


@dataclass(frozen=True)
class OptimizerOptions(Group):
    """How weights follow gradients.

    Args:
        name: "adamw" or "sgd" (the paper). Defaults to "adamw".
        learning_rate: Highest learning rate. Defaults to 0.001.
        momentum: Momentum of SGD, first moment of AdamW. Defaults to 0.9.
        weight_decay: Decoupled weight decay of the kernels, multiplied by the learning rate in
            every step. Defaults to 0.01.
        warmup: Share of the steps in which the learning rate rises linearly. Defaults to 0.05.
        schedule: "cosine" (falls to zero at the last step) or "constant". Defaults to "cosine".
        gradient_clip: Largest global norm of the gradient, or None. Defaults to 1.0.
        ema: Momentum of the averaged weights, or 0 to keep the last step's. Defaults to 0.99.
    """

    group: ClassVar[str] = "optimizer"

    name: str = field(default="adamw", metadata=_choices("adamw", "sgd"))
    learning_rate: float = field(default=1e-3, metadata=_POSITIVE)
    momentum: float = field(default=0.9, metadata=_between(0, 0.9999))
    weight_decay: float = field(default=0.01, metadata=_at_least(0, 1000))
    warmup: float = field(default=0.05, metadata=_between(0, 0.99))
    schedule: str = field(default="cosine", metadata=_choices("cosine", "constant"))
    gradient_clip: float | None = field(default=1.0, metadata=_POSITIVE)
    ema: float = field(default=0.99, metadata=_between(0, 0.9999))


@dataclass(frozen=True)
class RunOptions(Group):
    """How long a run is, what it looks at, and where it runs. A step is one update.

    Args:
        steps: Number of steps. Defaults to 2000.
        validate_every: Steps from one validation, log line and checkpoint to the next. Defaults
            to 100.
        checkpoint_minutes: Minutes from one checkpoint to the next where validations are further
            apart; 0 is none between them. Defaults to 5.
        validation_images: Largest number of validation images, spread over those given. Defaults
            to 8.
        precision: Keras dtype policy "float32", "mixed_bfloat16" or "mixed_float16"; logits, loss
            and metrics are float32 under each. Defaults to "float32".
        jit_compile: Whether XLA compiles the step; None leaves it to Keras. Defaults to None.
        strategy: Devices: "mirrored" for all GPUs of a machine, see `training.make_strategy`.
            Defaults to "default", one device.
        seed: Seed of initial weights, dropout, data order and augmentation; sets the global seeds
            of Python, NumPy and Keras. Two runs are equal bit for bit on the same CPU with
            the same number of threads (of 1 and of 2 threads, nearly all weights differ, by up to
            0.014 after a short run); on a GPU call
            `tf.config.experimental.enable_op_determinism()` first. Defaults to 0.
        monitor: Score of the validation that is the best when it is highest, a number that
            `Segmenter.evaluate` gives: "mean_iou", "mean_dice", "foreground_iou", or "seg", "ap50"
            and "f1" for instances. Defaults to "mean_iou".
        patience: Validations without a better score after which the run stops; 0 is never. The best
            weights are kept in either case. Defaults to 0.
        tensorboard: Whether to write TensorBoard logs beside `log.csv`. Defaults to True.
    """

    group: ClassVar[str] = "run"

    steps: int = field(default=2000, metadata=_at_least(1, LONGEST))
    validate_every: int = field(default=100, metadata=_at_least(1, LONGEST))
    checkpoint_minutes: float = field(default=5.0, metadata=_at_least(0, LONGEST))
    validation_images: int = field(default=8, metadata=_at_least(1, LONGEST))
    precision: str = field(default="float32", metadata=_choices(*PRECISIONS))
    jit_compile: bool | None = None
    strategy: str = field(default="default", metadata=_choices(*STRATEGIES))
    seed: int = field(default=0, metadata=_between(0, 2**32 - 1))
    monitor: str = field(default="mean_iou", metadata=_choices(*MONITORS))
    patience: int = field(default=0, metadata=_at_least(0, LONGEST))
    tensorboard: bool = True
