"""The argument and the options that name a data set, for every command that reads one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from keras_unet.commands.documented import documented_parameters, with_parameters
from keras_unet.data.data_set import DataSet

PATH, *DATA_OPTIONS = documented_parameters(DataSet)


def with_data(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a typer command the argument and the options that name a data set.

    They take the place of the command's parameter `data`, which receives the `DataSet`.
    """

    @functools.wraps(command)
    def run(**arguments: Any) -> Any:
        data = DataSet(**{one.name: arguments.pop(one.name) for one in (PATH, *DATA_OPTIONS)})
        return command(data=data, **arguments)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        parameters += [PATH, *DATA_OPTIONS] if parameter.name == "data" else [parameter]
    return with_parameters(run, parameters)
