"""A Recipe: every choice of a training run in one object, which is also its config file."""

from __future__ import annotations

import copy
import difflib
import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from keras_unet._arguments import notes_of, shown
from keras_unet.files.atomic import write_atomically
from keras_unet.files.plain_data import parse_yaml, read_plain
from keras_unet.training import recipe_objects
from keras_unet.training.recipe_format1 import FIELDS, is_flat, migrate
from keras_unet.training.recipe_groups import (
    BatchOptions,
    Group,
    ImageOptions,
    ModelOptions,
    OptimizerOptions,
    RunOptions,
)

FORMAT = 2
GROUPS = ("model", "target", "images", "augmentation", "batches", "optimizer", "run")
FIXED: dict[str, type[Group]] = {
    cls.group: cls for cls in (ImageOptions, BatchOptions, OptimizerOptions, RunOptions)
}
"""Groups with a fixed set of fields."""
_DEFAULTS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, init=False)
class Recipe:
    """Every choice of a training run: an object, a YAML or JSON file and the command's options.

    The **default** is a practical recipe for a few annotated images and one small GPU: this
    package's U-Net at half the paper's width with "same" convolutions, whose whole output counts in
    the loss (a valid network of depth 4 throws away half of a 444 px tile), batch normalization
    instead of dropout, and AdamW with warm-up and cosine decay, which needs no search for a
    learning rate. The averaged weights (`optimizer.ema`) are what is validated and kept, because
    single steps on little data are noisy. `Recipe.paper()` is the published recipe.

    Every group is a mapping of names and values; what it leaves out has its default. Names and
    values are checked here, against the class that takes them: a recipe that exists can be trained,
    if the samples are fit for it.

    Sizes are in working pixels, those of the grid that `images.resolution` makes: the tile,
    displacements, and the distances of weight maps and targets (such as `sigma` and `clip`). Only a
    target's `min_size` is in pixels of the image, at whose size objects are found.

    Args:
        model: The architecture: its `name` and arguments of its class, see `models`. `filters`,
            `depth`, `padding`, `normalization` and `dropout` have defaults of the recipe
            (`ModelOptions`), which only an architecture that takes them gets.
        target: What the network learns: its `name` and arguments of its class, see `targets`, such
            as {"weights": "paper"} for the border weight map. The number of classes is counted in
            the samples unless given; `class_weights` may be "balanced" (inverse frequency over all
            samples, pixel-weighted mean 1). Defaults to {"name": "classes"}.
        images: How an image is brought to the network, see `ImageOptions`.
        augmentation: Arguments of `Augmentation`, in working pixels; {} is its defaults, None is no
            augmentation. Defaults to {}.
        batches: The tiles of a training step, see `BatchOptions`.
        optimizer: How weights follow gradients, see `OptimizerOptions`.
        run: How long a run is, what it looks at, and where it runs, see `RunOptions`.

    Raises:
        ValueError: If a name is unknown (the nearest one is named), or a value has the wrong type
            or is out of its range.

    Example:
        >>> recipe = Recipe(model={"filters": 16}, run={"steps": 500})
        >>> recipe.model["filters"], recipe.run.steps, recipe.optimizer.name
        (16, 500, 'adamw')
        >>> recipe.override(["augmentation.sigma=5", "run.seed=1"]).augmentation
        {'sigma': 5.0}

    Reference:
        Ronneberger, Fischer, Brox. MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
        Loshchilov, Hutter. "Decoupled Weight Decay Regularization." ICLR 2019. arXiv:1711.05101
    """

    model: dict[str, Any]
    target: dict[str, Any]
    images: ImageOptions
    augmentation: dict[str, Any] | None
    batches: BatchOptions
    optimizer: OptimizerOptions
    run: RunOptions

    def __init__(
        self,
        model: Mapping[str, Any] = _DEFAULTS,
        target: Mapping[str, Any] = _DEFAULTS,
        images: ImageOptions | Mapping[str, Any] = _DEFAULTS,
        augmentation: Mapping[str, Any] | None = _DEFAULTS,
        batches: BatchOptions | Mapping[str, Any] = _DEFAULTS,
        optimizer: OptimizerOptions | Mapping[str, Any] = _DEFAULTS,
        run: RunOptions | Mapping[str, Any] = _DEFAULTS,
    ) -> None:
        checked = {
            "model": recipe_objects.check_model(model),
            "target": recipe_objects.check_target(target),
            "images": ImageOptions.of(images),
            "augmentation": recipe_objects.check_augmentation(augmentation),
            "batches": BatchOptions.of(batches),
            "optimizer": OptimizerOptions.of(optimizer),
            "run": RunOptions.of(run),
        }
        for group, value in checked.items():
            object.__setattr__(self, group, value)

    @classmethod
    def paper(cls, **changes: Any) -> Recipe:
        """The recipe of the paper; the learning rate and the number of steps are not in it.

        Width 64 and depth 4 with valid convolutions, 572 px tiles one at a time, SGD with momentum
        0.99, dropout 0.5 at the end of the contracting path, elastic deformations on a 3x3 grid
        with 10 px, balanced class weights and the border weight map with w0 = 10, sigma = 5 px.

        Args:
            **changes: Groups that differ from it, see `replace`.

        Returns:
            A `Recipe`.
        """
        return cls(
            model={"filters": 64, "padding": "valid", "normalization": None, "dropout": 0.5},
            target={"weights": "paper", "class_weights": "balanced"},
            images={"normalization": "unit"},
            augmentation={"grid": 3, "sigma": 10.0},
            batches={"tile": 572, "size": 1},
            optimizer={
                "name": "sgd",
                "learning_rate": 1e-3,
                "momentum": 0.99,
                "weight_decay": 0.0,
                "warmup": 0.0,
                "schedule": "constant",
                "gradient_clip": None,
                "ema": 0.0,
            },
            run={"steps": 20000, "validate_every": 500},
        ).replace(**changes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Makes a recipe from groups (format 2) or from the flat fields of format 1.

        Raises:
            ValueError: If a name is unknown (the nearest one is named) or a value is wrong.
        """
        if not isinstance(values, Mapping):
            raise ValueError(
                f"a recipe must be a mapping such as {{'run': {{'steps': 500}}}}. "
                f"Received: {shown(values)}"
            )
        version = values.get("format", FORMAT)
        if type(version) is not int or not 1 <= version <= FORMAT:
            raise ValueError(
                f"this version reads recipes of format 1 and {FORMAT}. "
                f"Received: format={shown(version)}"
            )
        if is_flat(values):
            return cls(**migrate(values))
        groups = {name: value for name, value in values.items() if name != "format"}
        _check_groups(groups)
        return cls(**groups)

    @classmethod
    def from_file(cls, path: str | Path) -> Recipe:
        """Reads a recipe from a YAML (`.yaml`, `.yml`) or JSON (`.json`) file.

        Raises:
            ValueError: If the file is not a valid recipe, or larger than one can be (see
                `read_plain`); the message names the file.
        """
        path = Path(path)
        values = read_plain(path)
        try:
            return cls.from_dict({} if values is None else values)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Writes all fields as JSON (`.json`) or as YAML with a comment above every field."""
        path = Path(path)
        values = self.to_dict()
        if path.suffix == ".json":
            text = json.dumps(values, indent=2) + "\n"
        else:
            lines = [f"format: {values.pop('format')}"]
            for group, options in values.items():
                lines += self._as_yaml(group, options)
            text = "\n".join(lines) + "\n"
        write_atomically(path, text.encode())

    def _as_yaml(self, group: str, options: Mapping[str, Any] | None) -> list[str]:
        """The lines of a group, each field under what it means."""
        lines = _comment(notes_of(Recipe)[group], "")
        if not options:
            return [*lines, f"{group}: {_plain_yaml(options)}"]
        if group in FIXED:
            notes = notes_of(FIXED[group])
        else:
            notes = recipe_objects.notes_of_arguments(group, options)
        lines.append(f"{group}:")
        for name, value in options.items():
            lines += _comment(notes[name], "  ") if name in notes else []
            lines.append(f"  {name}: {_plain_yaml(value)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """All groups as plain values, and the `format` that they are in."""
        groups = {name: getattr(self, name) for name in GROUPS}
        return {"format": FORMAT} | {
            name: value.to_dict() if name in FIXED else copy.deepcopy(value)
            for name, value in groups.items()
        }

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some fields changed: `recipe.replace(run={"steps": 500})`.

        Args:
            **changes: Groups; what they name is changed, the rest of the group stays.
                `augmentation=None` switches augmentation off.

        Raises:
            ValueError: If a name is unknown or a value does not fit.
        """
        _check_groups(changes)
        groups = self.to_dict()
        del groups["format"]
        # Defaults are not carried over: another architecture may not take them.
        shared = recipe_objects.SHARED
        groups["model"] = {
            name: value
            for name, value in self.model.items()
            if name not in shared or value != shared[name]
        }
        for group, change in changes.items():
            merges = isinstance(change, Mapping)
            groups[group] = {**(groups[group] or {}), **change} if merges else change
        return type(self)(**groups)

    def override(self, assignments: Iterable[str]) -> Recipe:
        """A copy changed by texts such as `run.steps=500` or `augmentation.sigma=5`.

        Args:
            assignments: `group.field=value` each, the value written as in YAML. "none" stands for
                null where null may be, `8,16` for a list of numbers. `augmentation=none` switches
                augmentation off.

        Raises:
            ValueError: If a text is not an assignment to a field.
        """
        changes: dict[str, Any] = {}
        for assignment in assignments:
            path, equals, text = assignment.partition("=")
            if not equals:
                raise ValueError(f"expected group.field=value. Received: {shown(assignment)}")
            group, dot, name = path.strip().partition(".")
            _check_groups([group], path=path)
            value = _parsed(group, name, text)
            if not dot:
                changes[group] = value
            else:
                changes[group] = {**(changes.get(group) or {}), name: value}
        return self.replace(**changes)

    def differences(self, other: Recipe) -> dict[str, tuple[Any, Any]]:
        """Fields whose values differ: path -> (this recipe's, the other's), None for no field."""
        mine, theirs = self.by_path(), other.by_path()
        return {
            path: (mine.get(path), theirs.get(path))
            for path in {**mine, **theirs}
            if mine.get(path) != theirs.get(path)
        }

    def by_path(self) -> dict[str, Any]:
        """All fields in one mapping: path, such as "run.steps", -> value."""
        paths: dict[str, Any] = {}
        for group, options in self.to_dict().items():
            if isinstance(options, dict) and options:
                paths |= {f"{group}.{name}": value for name, value in options.items()}
            else:
                paths[group] = options
        return paths

    @classmethod
    def describe(cls) -> dict[str, str]:
        """What every group and every field with a default means, in one line: path -> text."""
        notes: dict[str, str] = {}
        for group, note in notes_of(Recipe).items():
            notes[group] = note
            documented = ModelOptions if group == "model" else FIXED.get(group)
            if documented is not None:
                notes |= {f"{group}.{name}": text for name, text in notes_of(documented).items()}
        return notes | {"target.name": 'Name of the target. Defaults to "classes".'}


def _check_groups(names: Iterable[str], path: str | None = None) -> None:
    """Raises a `ValueError` for a name that is no group; a field's name leads to its group."""
    for name in names:
        if name not in GROUPS:
            near = difflib.get_close_matches(str(name), [*GROUPS, *FIELDS], n=1)
            moved = [one if one in GROUPS else FIELDS[one] for one in near]
            hint = f" (did you mean {moved[0]!r}?)" if moved else f"; there are {', '.join(GROUPS)}"
            raise ValueError(f"unknown recipe group {shown(path or name)}{hint}")


def _parsed(group: str, name: str, text: str) -> Any:
    """The value of a text on the command line."""
    try:
        value = parse_yaml(text)
        if isinstance(value, str) and "," in value:
            entries = parse_yaml(f"[{value}]")
            value = value if any(isinstance(one, str) for one in entries) else entries
    except ValueError as error:
        raise ValueError(f"{group}.{name}={shown(text)[1:-1]}: {error}") from error
    is_none = isinstance(value, str) and value.lower() == "none"
    return None if is_none and _may_be_null(group, name) else value


def _may_be_null(group: str, name: str) -> bool:
    """Whether null is a value of a field; the class decides where it is a free one."""
    return group not in FIXED or "None" in str(FIXED[group].__annotations__.get(name))


def _comment(note: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(
        note,
        100,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain_yaml(value: Any) -> str:
    """A value in one line."""
    return yaml.safe_dump([value], default_flow_style=True, width=10**6).strip()[1:-1]
