"""Lets Keras find this package's classes in a saved file although they are imported lazily.

Each name is registered with a stand-in, which imports the class when a file asks for it. The
registry lies inside of Keras, which `import keras_unet` must not import. So the stand-ins have to
come right after Keras, and only a hook on `sys.meta_path` can do that:

- Keras looks for a foreign class in its registry only; it imports no module but its own, reads no
  entry points and calls nobody when it is imported;
- a class that registers itself when its module is imported comes too late: whoever loads a file
  has imported `keras_unet` and perhaps none of its modules;
- importing Keras here costs seconds and a backend, also for those who only read an image.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from typing import Any

PACKAGES = ("layers", "losses", "metrics", "models", "training")


class _StandIn:
    """Takes the place of a class until a saved file asks for it."""

    def __init__(self, package: str, name: str) -> None:
        self.package, self.name = package, name

    def from_config(self, config: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(self.package), self.name).from_config(config)


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Finds Keras where Python would, and registers the stand-ins once it is imported."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(fullname) if fullname == "keras" else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Registers the classes now if Keras is imported, otherwise as soon as it is."""
    if "keras" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterKeras())


def _register() -> None:
    registered = sys.modules["keras"].saving.get_custom_objects()
    for package in PACKAGES:
        path = f"keras_unet.{package}"
        for name in importlib.import_module(path).__all__:
            if name[0].isupper():  # a class; the module itself registers it when it is imported
                registered.setdefault(f"keras_unet>{name}", _StandIn(path, name))
