"""Lazy attributes for packages, so that importing keras_unet costs milliseconds and no backend."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def attach(
    package: str, modules: Mapping[str, Sequence[str]], submodules: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Makes the `__getattr__`, `__dir__` and `__all__` of a package (PEP 562).

    Args:
        package: `__name__` of the package.
        modules: Module, a submodule or a full name of ours -> the public names that it defines.
        submodules: Submodules that are public names themselves.

    Returns:
        The three objects to assign in the package.
    """
    attributes = {name: module for module, names in modules.items() for name in names}
    public = sorted({*attributes, *submodules})

    def load(name: str) -> Any:
        if name in attributes:
            module = attributes[name]
            path = module if module.startswith("keras_unet.") else f"{package}.{module}"
            value = getattr(importlib.import_module(path), name)
        elif name in submodules:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)  # the next access does not come here
        return value

    return load, lambda: public, public
