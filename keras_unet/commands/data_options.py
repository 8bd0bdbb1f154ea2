"""The argument and the options that name a data set, for every command that reads one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_unet.data.data_set import DataSet

DataPath = Annotated[Path, typer.Argument(help="Folder of annotated images.")]
DATA_OPTIONS: dict[str, Any] = {
    "format": Annotated[
        str, typer.Option("--format", help="auto, folder, isbi2012 or cell-tracking.")
    ],
    "masks": Annotated[Path | None, typer.Option(help="Folder of the masks (format folder).")],
    "kind": Annotated[str | None, typer.Option(help="Masks: auto, binary, instances or classes.")],
    "channels": Annotated[
        int | None, typer.Option(help="1 or 3: turn all images to grey or RGB (format folder).")
    ],
    "rank": Annotated[
        int | None, typer.Option(help="3: files are volumes, TIFF or NIfTI (format folder).")
    ],
    "sequence": Annotated[str | None, typer.Option(help="Sequence (format cell-tracking).")],
    "truth": Annotated[str | None, typer.Option(help="GT, ST or GT+ST (format cell-tracking).")],
    "select": Annotated[
        str | None,
        typer.Option(help="Slices, frames or places in the folder, such as 0-17 or 6,7,14."),
    ],
}


def with_data(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a typer command the argument and the options that name a data set.

    They take the place of the command's parameter `data`, which receives the `DataSet`.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, keyword, default=getattr(DataSet, name), annotation=annotation)
        for name, annotation in DATA_OPTIONS.items()
    ]
    options.insert(0, inspect.Parameter("path", keyword, annotation=DataPath))

    @functools.wraps(command)
    def run(**arguments: Any) -> Any:
        data = DataSet(**{option.name: arguments.pop(option.name) for option in options})
        return command(data=data, **arguments)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        parameters += options if parameter.name == "data" else [parameter.replace(kind=keyword)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run
