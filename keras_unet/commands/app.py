"""The command line: every command parses, calls one function, and prints what it gave."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from keras_unet._version import __version__
from keras_unet.commands.demo import demo
from keras_unet.commands.evaluate import evaluate
from keras_unet.commands.export import export
from keras_unet.commands.info import info
from keras_unet.commands.predict import predict
from keras_unet.commands.printing import console
from keras_unet.commands.recipe_options import RecipeCommand
from keras_unet.commands.serve import serve
from keras_unet.commands.train import train
from keras_unet.errors import in_command

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up lines say nothing here

app = typer.Typer(
    name="keras-unet",
    help="U-Net for biomedical images: from a few annotated images to a segmentation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def friendly(command: Callable[..., Any]) -> Callable[..., Any]:
    """Prints errors that a user can mend in one line; KERAS_UNET_DEBUG=1 shows the traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError, ImportError) as error:
            if os.environ.get("KERAS_UNET_DEBUG"):
                raise
            message = f"[bold red]Error:[/] {escape(in_command(error))}"
            Console(stderr=True, soft_wrap=True).print(message, highlight=False)
            raise typer.Exit(1) from None

    return run


def add(command: Callable[..., Any], *examples: str, **options: Any) -> None:
    """Puts a command on the command line; its help ends with the examples."""
    first, *others = [f"keras-unet {example}" for example in examples]
    epilog = " ".join([f"Example: {first}", *[f"(or: {other})" for other in others]])
    summary = inspect.cleandoc(command.__doc__ or "").partition("\n\n")[0]  # not its `Args`
    app.command(help=summary, epilog=epilog, **options)(friendly(command))


add(demo, "demo --out demo")
add(train, "train data/em --format isbi2012 --select 0-17 --out runs/em", cls=RecipeCommand)
add(predict, "predict runs/em image.tif --out masks", "predict --preset nuclei image.png")
add(
    evaluate,
    "evaluate runs/em data/em --format isbi2012 --select 18-23",
    "evaluate masks_of_any_program data/em --format isbi2012",
)
add(info, "info --filters 64 --padding valid --size 572", cls=RecipeCommand)
add(export, "export runs/em --out models/em", "export --preset nuclei --format web --out site")
add(serve, "serve models/em", "serve --preset nuclei")


def _version(value: bool) -> None:
    if value:
        console.print(f"keras-unet-bio {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """U-Net for biomedical images: from a few annotated images to a segmentation."""


if __name__ == "__main__":
    app()
