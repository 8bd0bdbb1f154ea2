"""The fields of a `Recipe` as options: each by its path, those of every day by a short name."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from keras_unet.commands.documented import with_parameters
from keras_unet.training.recipe import Recipe

PANEL = "Recipe"
SHORT = {
    "model": "model.name",
    "target": "target.name",
    "batch_size": "batches.size",
    "augmentation": "augmentation",
} | {
    path.partition(".")[2]: path
    for path in (
        *("model.filters", "model.depth", "model.padding", "model.normalization", "model.dropout"),
        *("images.resolution", "batches.tile", "batches.sampling", "batches.foreground_fraction"),
        *("optimizer.learning_rate", "optimizer.gradient_clip", "run.steps", "run.validate_every"),
        *("run.precision", "run.strategy", "run.seed", "run.monitor", "run.patience"),
    )
}
"""Option -> path of its field."""
_NUMBERS = ("dropout", "foreground_fraction", "learning_rate")
_INTEGERS = ("filters", "depth", "batch_size", "steps", "validate_every", "seed", "patience")
_METAVARS = (
    {"resolution": "NUMBER[,...]", "tile": "PIXELS[,...]", "augmentation": "none"}
    | {"gradient_clip": "NUMBER|none", "normalization": "TEXT|none"}
    | dict.fromkeys(_NUMBERS, "NUMBER")
    | dict.fromkeys(_INTEGERS, "INTEGER")
)
_PATH = re.compile(r"--([A-Za-z_]+\.[\w.-]+)")
_META = "keras_unet.recipe"


class RecipeCommand(TyperCommand):
    """A command that takes every field of a recipe by its path, such as `--augmentation.sigma 5`.

    Which fields there are depends on the classes that the recipe names, so the paths are taken out
    of the command line before it is parsed, and the recipe checks them.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leaves the rest to the command."""
        rest: list[str] = []
        assignments: list[str] = []
        words = iter(args)
        for word in words:
            option, equals, text = word.partition("=")
            path = _PATH.fullmatch(option)
            if path is None:
                rest.append(word)
                continue
            if not equals:
                value = next(words, None)
                if value is None:
                    raise typer.BadParameter(f"Option {word!r} requires an argument.", ctx=ctx)
                text = value
            assignments.append(f"{path[1].replace('-', '_')}={text}")
        ctx.meta[_META] = assignments
        return super().parse_args(ctx, rest)


def with_recipe(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a typer command the options of a recipe; its class must be `RecipeCommand`.

    The command's parameter `recipe` becomes `--recipe FILE`, the short options and the paths; it
    receives the `Recipe` that they make together: the file, then the options, then the paths. The
    text "none" stands for null, and "16,32,32" for several numbers.
    """

    @functools.wraps(command)
    def run(ctx: typer.Context, **arguments: Any) -> Any:
        path, tensorboard = arguments.pop("recipe_file"), arguments.pop("tensorboard")
        given = {SHORT[name]: arguments.pop(name) for name in SHORT}
        texts = [f"{field}={text}" for field, text in given.items() if text is not None]
        if tensorboard is not None:
            texts.append(f"run.tensorboard={str(tensorboard).lower()}")
        recipe = Recipe.from_file(path) if path else Recipe()
        return command(recipe=recipe.override([*texts, *ctx.meta[_META]]), **arguments)

    keyword = inspect.Parameter.KEYWORD_ONLY
    own = dict(inspect.signature(command, eval_str=True).parameters)
    del own["recipe"]
    options = [
        inspect.Parameter(name, keyword, default=None, annotation=annotation)
        for name, annotation in _annotations().items()
    ]
    context = inspect.Parameter("ctx", keyword, annotation=typer.Context)
    return with_parameters(run, [context, *own.values(), *options])


def _annotations() -> dict[str, Any]:
    """The options that every recipe has."""
    notes = Recipe.describe()
    file = typer.Option(
        "--recipe",
        help="YAML or JSON file. Every field is also an option by its path, whatever the model and "
        "the target take: --model.kernel_size 5 --target.min_size 30 --augmentation.sigma 5.",
        rich_help_panel=PANEL,
    )
    found: dict[str, Any] = {"recipe_file": Annotated[Path | None, file]}
    for name, path in SHORT.items():
        option = typer.Option(
            f"--{name.replace('_', '-')}",
            metavar=_METAVARS.get(name, "TEXT"),
            help=notes[path],
            rich_help_panel=PANEL,
            show_default=False,
        )
        found[name] = Annotated[str | None, option]
    option = typer.Option(help=notes["run.tensorboard"], rich_help_panel=PANEL, show_default=False)
    found["tensorboard"] = Annotated[bool | None, option]
    return found
