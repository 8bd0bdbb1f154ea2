"""Packages that only a part of the library needs."""

from __future__ import annotations

import importlib
from typing import Any


def import_extra(module: str, user: str, install: str) -> Any:
    """Imports a module of an optional package.

    Args:
        module: Its name.
        user: What needs it.
        install: What pip installs.

    Returns:
        The module.

    Raises:
        ImportError: If it is missing; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise ImportError(f"{user} needs {package}: pip install {install}") from error
