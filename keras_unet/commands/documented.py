"""Options of a command from its own signature and docstring."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, get_args, get_origin

import typer

from keras_unet._arguments import notes_of


def documented(command: Callable[..., Any]) -> Callable[..., Any]:
    """Makes options of a command's parameters, with the help that its docstring's `Args` give.

    As in typer, a parameter without a default is an argument. What is more special is said in the
    annotation: `Annotated[Path | None, typer.Argument()]`, or `Annotated[bool,
    typer.Option("--isbi")]` for a flag that cannot be switched off.
    """
    options = {one.name: one.annotation for one in documented_parameters(command)}
    command.__annotations__ |= options
    return command


def documented_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that a docstring's `Args` tell of, annotated for typer.

    Args:
        function: A function or class.

    Returns:
        The parameters; their help leaves out the defaults, which typer shows.
    """
    notes = notes_of(function)
    found = inspect.signature(function, eval_str=True).parameters
    return [_with_help(found[name], note) for name, note in notes.items()]


def _with_help(parameter: inspect.Parameter, note: str) -> inspect.Parameter:
    kind = parameter.annotation
    info = typer.Argument() if parameter.default is parameter.empty else typer.Option()
    if get_origin(kind) is Annotated:
        kind, info = get_args(kind)
    info.help = note.partition(" Defaults to ")[0]
    return parameter.replace(annotation=Annotated[kind, info])


def with_parameters(
    run: Callable[..., Any], parameters: Iterable[inspect.Parameter]
) -> Callable[..., Any]:
    """The function with other parameters for typer, which gives each by its name."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.Signature([one.replace(kind=keyword) for one in parameters])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    return run
