"""A Recipe: every choice of a training run in one dataclass, which is also its config file."""

from __future__ import annotations

import difflib
import inspect
import json
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from keras_unet.data.resolution import HIGHEST, LOWEST
from keras_unet.training.recipe_values import convert

_CHOICES: dict[str, tuple[Any, ...]] = {
    "padding": ("valid", "same"),
    "normalization": (None, "batch", "group"),
    "sampling": ("image", "area"),
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "constant"),
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
}
# Smallest and largest value, both allowed; None = no limit.
_RANGES: dict[str, tuple[float | None, float | None]] = {
    "resolution": (LOWEST, HIGHEST),
    "filters": (1, None),
    "depth": (0, 12),
    "dropout": (0, 0.99),
    "tile": (1, None),
    "batch_size": (1, None),
    "foreground_fraction": (0, 1),
    "steps": (1, None),
    "validate_every": (1, None),
    "validation_images": (1, None),
    "momentum": (0, 0.9999),
    "weight_decay": (0, None),
    "warmup": (0, 0.99),
    "ema": (0, 0.9999),
    "patience": (0, None),
}


@dataclass(frozen=True)
class Recipe:
    """Every choice of a training run: a dataclass, a YAML or JSON file and the command's options.

    The **default** is a practical recipe for a few annotated images and one small GPU: this
    package's U-Net at half the paper's width with "same" convolutions, whose whole output counts in
    the loss (a valid network of depth 4 throws away half of a 444 px tile), batch normalisation
    instead of dropout, and AdamW with warm-up and cosine decay, which needs no search for a
    learning rate. The averaged weights (`ema`) are what is validated and kept, because single
    steps on little data are noisy. `Recipe.paper()` is the published recipe.

    A step is one update on `batch_size` tiles. Sizes are in working pixels, those of the grid that
    `resolution` makes: the tile, displacements, and the distances of weight maps and targets (such
    as `sigma` and `clip`). Only a target's `min_size` is in pixels of the image, at whose size
    objects are found.

    Args:
        model: Name of the architecture, see `models.names()`. Defaults to "unet".
        filters: Channels of the first level; doubled at every level. Defaults to 32.
        depth: Number of poolings. Defaults to 4.
        padding: "same" or "valid" (the paper). Defaults to "same".
        normalization: "batch", "group" or None (the paper), after every convolution. Batch
            statistics need `batch_size` >= 4; group statistics span a whole tile, so tiled
            prediction then differs from a single pass. Defaults to "batch".
        dropout: Rate at the end of the contracting path (the paper: 0.5). Defaults to 0.
        model_options: Further arguments of the architecture. Defaults to {}.
        target: What the network learns, a name in `targets.TARGETS`. Defaults to "classes".
        target_options: Arguments of the target, such as {"weights": "paper"} for the border weight
            map, in working pixels but for `min_size`. The number of classes is counted in the
            samples unless given. Defaults to {}.
        class_weights: "balanced" (inverse frequency over all samples, pixel-weighted mean 1), one
            weight per class, or None. For the target "classes" only. Defaults to None.
        image_normalization: "percentile", "unit", "zscore" or "none": how every image is scaled;
            stored with the model. Defaults to "percentile".
        resolution: Size of the grid on which the network works, as a fraction of the image's, 0.05
            to 8, one number or one per axis: 0.5 for objects that are large in pixels, 2 for tiny
            ones, [2, 1, 1] for slices twice as far apart as their pixels. Stored with the model;
            results have the image's size in any case. Defaults to 1.
        augmentation: Options of `data.Augmentation`, in working pixels; {} is its defaults, None
            is no augmentation. Defaults to {}.
        tile: Side of the network's input in working pixels, a legal size, or one per axis. Defaults
            to None: the legal size for about 256 px of output, less where all images are smaller;
            of volumes for 64 px, less along each axis along which all volumes are smaller.
        batch_size: Tiles in a step, over all devices. Defaults to 4.
        sampling: "image" visits every image equally often, "area" in proportion to its size.
            Defaults to "image".
        foreground_fraction: Share of the tiles that are placed around a foreground pixel, for
            images that are nearly empty. Defaults to 0.
        steps: Number of steps. Defaults to 2000.
        validate_every: Steps from one validation, log line and checkpoint to the next. Defaults
            to 100.
        validation_images: Largest number of validation images, spread over those given. Defaults
            to 8.
        optimizer: "adamw" or "sgd" (the paper). Defaults to "adamw".
        learning_rate: Highest learning rate. Defaults to 0.001.
        momentum: Momentum of SGD, first moment of AdamW. Defaults to 0.9.
        weight_decay: Decoupled weight decay of the kernels, multiplied by the learning rate in
            every step. Defaults to 0.01.
        warmup: Share of the steps in which the learning rate rises linearly. Defaults to 0.05.
        schedule: "cosine" (falls to zero at the last step) or "constant". Defaults to "cosine".
        gradient_clip: Largest global norm of the gradient, or None. Defaults to 1.0.
        ema: Momentum of the averaged weights, or 0 to keep the last step's. Defaults to 0.99.
        precision: Keras dtype policy "float32", "mixed_bfloat16" or "mixed_float16"; logits, loss
            and metrics are float32 under each. Defaults to "float32".
        jit_compile: Whether XLA compiles the step; None leaves it to Keras. Defaults to None.
        strategy: Devices, see `training.make_strategy`, such as "mirrored" for all GPUs of a
            machine. Defaults to "default", one device.
        seed: Seed of initial weights, dropout, data order and augmentation; sets the global seeds
            of Python, NumPy and Keras. Two runs are equal bit for bit on the same CPU; on a GPU
            call `tf.config.experimental.enable_op_determinism()` first. Defaults to 0.
        monitor: Score of the validation that is the best when it is highest, a number that
            `Segmenter.evaluate` gives: "mean_iou", "mean_dice", "foreground_iou", or "seg", "ap50"
            and "f1" for instances. Defaults to "mean_iou".
        patience: Validations without a better score after which the run stops; 0 is never. The best
            weights are kept in either case. Defaults to 0.
        tensorboard: Whether to write TensorBoard logs beside `log.csv`. Defaults to True.

    Raises:
        ValueError: If a value has the wrong type or is out of its range.

    Example:
        >>> recipe = Recipe(filters=16, steps=500)
        >>> recipe.override(["augmentation.sigma=5", "learning_rate=3e-4"]).augmentation
        {'sigma': 5}

    Reference:
        Ronneberger, Fischer, Brox. MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
        Loshchilov, Hutter. "Decoupled Weight Decay Regularization." ICLR 2019. arXiv:1711.05101
    """

    model: str = "unet"
    filters: int = 32
    depth: int = 4
    padding: str = "same"
    normalization: str | None = "batch"
    dropout: float = 0.0
    model_options: dict[str, Any] = field(default_factory=dict)
    target: str = "classes"
    target_options: dict[str, Any] = field(default_factory=dict)
    class_weights: str | list[float] | None = None
    image_normalization: str = "percentile"
    resolution: float | list[float] = 1.0
    augmentation: dict[str, Any] | None = field(default_factory=dict)
    tile: int | list[int] | None = None
    batch_size: int = 4
    sampling: str = "image"
    foreground_fraction: float = 0.0
    steps: int = 2000
    validate_every: int = 100
    validation_images: int = 8
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.05
    schedule: str = "cosine"
    gradient_clip: float | None = 1.0
    ema: float = 0.99
    precision: str = "float32"
    jit_compile: bool | None = None
    strategy: str = "default"
    seed: int = 0
    monitor: str = "mean_iou"
    patience: int = 0
    tensorboard: bool = True

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for item in fields(self):
            value = convert(item.name, getattr(self, item.name), hints[item.name])
            object.__setattr__(self, item.name, value)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {choices}. Received: {name}={getattr(self, name)!r}"
                )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None:
                continue
            values = value if isinstance(value, list) else [value]
            if any(
                (low is not None and v < low) or (high is not None and v > high) for v in values
            ):
                limit = f"at least {low}" if high is None else f"between {low} and {high}"
                raise ValueError(f"{name} must be {limit}. Received: {name}={value}")
        for name in ("learning_rate", "gradient_clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive. Received: {name}={value}")
        if isinstance(self.class_weights, str) and self.class_weights != "balanced":
            raise ValueError(
                'class_weights must be "balanced", one number per class, or null. '
                f"Received: class_weights={self.class_weights!r}"
            )

    @classmethod
    def paper(cls, **changes: Any) -> Recipe:
        """The recipe of the paper; the learning rate and the number of steps are not in it.

        Width 64 and depth 4 with valid convolutions, 572 px tiles one at a time, SGD with momentum
        0.99, dropout 0.5 at the end of the contracting path, elastic deformations on a 3x3 grid
        with 10 px, balanced class weights and the border weight map with w0 = 10, sigma = 5 px.

        Args:
            **changes: Fields that differ from it.

        Returns:
            A `Recipe`.
        """
        values: dict[str, Any] = {
            "filters": 64,
            "padding": "valid",
            "normalization": None,
            "dropout": 0.5,
            "target_options": {"weights": "paper"},
            "class_weights": "balanced",
            "image_normalization": "unit",
            "augmentation": {"grid": 3, "sigma": 10.0},
            "tile": 572,
            "batch_size": 1,
            "steps": 20000,
            "validate_every": 500,
            "optimizer": "sgd",
            "learning_rate": 1e-3,
            "momentum": 0.99,
            "weight_decay": 0.0,
            "warmup": 0.0,
            "schedule": "constant",
            "gradient_clip": None,
            "ema": 0.0,
        }
        return cls.from_dict({**values, **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Makes a recipe; fields that are not named keep their defaults.

        Raises:
            ValueError: If a name is not a field (the nearest one is named) or a value is wrong.
        """
        if not isinstance(values, Mapping):
            raise ValueError(
                f"a recipe must be a mapping such as 'steps: 500'. Received: {values!r}"
            )
        names = [item.name for item in fields(cls)]
        for name in values:
            if name not in names:
                near = difflib.get_close_matches(str(name), names, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise ValueError(f"unknown recipe field {name!r}{hint}; the fields are {names}")
        return cls(**values)

    @classmethod
    def from_file(cls, path: str | Path) -> Recipe:
        """Reads a recipe from a YAML (`.yaml`, `.yml`) or JSON (`.json`) file.

        Raises:
            ValueError: If the file is not a valid recipe; the message names the file.
        """
        path = Path(path)
        text = path.read_text(encoding="utf-8")
        try:
            values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
            return cls.from_dict({} if values is None else values)
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Writes all fields as JSON (`.json`) or as YAML with a comment above every field."""
        path = Path(path)
        if path.suffix == ".json":
            text = json.dumps(self.to_dict(), indent=2) + "\n"
        else:
            lines, notes = [], self.describe()
            for name, value in self.to_dict().items():
                note = notes.get(name, "")
                lines += [f"# {note}"] if note else []
                lines.append(yaml.safe_dump({name: value}, sort_keys=False).rstrip())
            text = "\n".join(lines) + "\n"
        path.write_text(text, encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some fields changed."""
        return type(self).from_dict({**self.to_dict(), **changes})

    def override(self, assignments: Iterable[str]) -> Recipe:
        """A copy changed by texts such as `steps=500` or `augmentation.sigma=5`.

        Args:
            assignments: `name=value` each, the value written as in YAML; a dot reaches into the
                fields that hold options.

        Raises:
            ValueError: If a text is not an assignment to a field.
        """
        values = self.to_dict()
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            if not equals:
                raise ValueError(f"expected name=value. Received: {assignment!r}")
            name, dot, option = name.strip().partition(".")
            value = yaml.safe_load(text)
            if dot:
                options = values.get(name) or {}
                if not isinstance(options, dict):
                    raise ValueError(f"{name} holds no options. Received: {assignment!r}")
                value = {**options, option: value}
            values[name] = value
        return type(self).from_dict(values)

    def differences(self, other: Recipe) -> dict[str, tuple[Any, Any]]:
        """Fields whose values differ: name -> (this recipe's, the other's)."""
        mine, theirs = self.to_dict(), other.to_dict()
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}

    @classmethod
    def describe(cls) -> dict[str, str]:
        """What every field means in one line, from the class's documentation."""
        text = inspect.cleandoc(cls.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
        entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, flags=re.MULTILINE)
        return {name: " ".join(note.split()) for name, note in entries}
