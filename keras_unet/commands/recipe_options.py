"""Turns the fields of `Recipe` into command-line options, so that both are one list."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_unet.training.recipe import Recipe

PANEL = "Recipe"


def with_recipe(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a typer command an option for every plain field of the recipe.

    The command's parameter `recipe` becomes `--recipe FILE`, one option a field (`--filters`,
    `--learning-rate`, ...) and `--set NAME=VALUE` for nested ones; it receives the `Recipe` that
    they make together: the file, then the options, then `--set`. The text "none" stands for None
    in fields that may be None, and "16,32,32" for several numbers where a field may hold a list.
    """
    hints = typing.get_type_hints(Recipe)
    plain = {item.name: _plain_type(hints[item.name]) for item in fields(Recipe)}
    names = [name for name, kind in plain.items() if kind is not None]
    optional = {name for name in names if type(None) in typing.get_args(hints[name])}
    parsers = {name: _parser(hints[name]) for name in names}

    @functools.wraps(command)
    def run(**arguments: Any) -> Any:
        path, assignments = arguments.pop("recipe_file"), arguments.pop("set_") or []
        given = {name: arguments.pop(name) for name in names}
        chosen = {
            name: None if value == "none" and name in optional else parsers[name](value)
            for name, value in given.items()
            if value is not None
        }
        recipe = Recipe.from_file(path) if path else Recipe()
        recipe = recipe.replace(**chosen).override(assignments)
        return command(recipe=recipe, **arguments)

    notes = Recipe.describe()
    annotations: dict[str, Any] = {
        "recipe_file": Annotated[
            Path | None, typer.Option("--recipe", help="YAML or JSON file.", rich_help_panel=PANEL)
        ],
        "set_": Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                metavar="NAME=VALUE",
                help="Any field; a dot reaches inside: augmentation.sigma=5.",
                rich_help_panel=PANEL,
            ),
        ],
    }
    for name in names:
        option = typer.Option(help=notes.get(name, ""), rich_help_panel=PANEL, show_default=False)
        annotations[name] = Annotated[typing.Optional[plain[name]], option]  # noqa: UP045
    parameters = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "recipe"
    ]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters += [
        inspect.Parameter(name, keyword, default=None, annotation=annotation)
        for name, annotation in annotations.items()
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _kinds(hint: Any) -> list[Any]:
    """The types of a union without None, or the type."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return [option for option in options if option is not type(None)]


def _plain_type(hint: Any) -> type | None:
    """The type that one option can hold, without None; None for nested fields."""
    kinds = _kinds(hint)
    if _is_number_or_list(kinds):
        return str
    return kinds[0] if len(kinds) == 1 and kinds[0] in (str, int, float, bool) else None


def _is_number_or_list(kinds: list[Any]) -> bool:
    return kinds in ([int, list[int]], [float, list[float]])


def _parser(hint: Any) -> Callable[[Any], Any]:
    """From an option's value to the field's: "8" is 8, and "8,16" a list, in such fields."""
    kinds = _kinds(hint)
    if not _is_number_or_list(kinds):
        return lambda value: value

    def parse(text: str) -> Any:
        try:
            numbers = [kinds[0](part) for part in text.split(",")]
        except ValueError:
            return text  # the recipe's message says what it should be
        return numbers if "," in text else numbers[0]

    return parse
