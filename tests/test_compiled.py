"""Compiled code is kept outside of the package, and nowhere where nothing can be written."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

import keras_unet

pytestmark = pytest.mark.core

PACKAGE = Path(keras_unet.__file__).parent

CODE = """
import numpy as np
from keras_unet.objects.watershed import watershed_from_seeds
seeds = np.array([[4, 0, 0, 0, 7, 0]])
print(watershed_from_seeds(np.array([[0, 1, 3, 2, 0, 0]]), seeds, seeds >= 0).tolist())
"""


def run(folder, **environment):
    """Output of a fresh process that imports a copy of the package in `folder`."""
    shutil.copytree(PACKAGE, folder / "keras_unet", ignore=shutil.ignore_patterns("__pycache__"))
    kept = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", CODE],
        env={**kept, "PYTHONPATH": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[[4, 4, 4, 7, 7, 7]]\n"
    return done


def compiled_files(folder):
    return {path for path in folder.rglob("*") if path.suffix in (".nbi", ".nbc")}


def test_the_package_folder_stays_as_it_is(tmp_path):
    caches = tmp_path / "caches"
    run(tmp_path, XDG_CACHE_HOME=str(caches))
    assert compiled_files(caches)
    assert not compiled_files(tmp_path / "keras_unet")


def test_a_folder_of_the_user_is_taken(tmp_path):
    run(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "own"), XDG_CACHE_HOME=str(tmp_path / "caches"))
    assert compiled_files(tmp_path / "own")
    assert not compiled_files(tmp_path / "caches")


def test_it_works_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()  # a folder cannot be made below a file, for root neither
    run(tmp_path, XDG_CACHE_HOME=str(tmp_path / "file"))
    assert not compiled_files(tmp_path)


def kernels():
    """All compiled functions of the package, by module and name."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if "@compiled\n" in file.read_text(encoding="utf-8"):
            module = importlib.import_module(
                ".".join(("keras_unet", *file.relative_to(PACKAGE).with_suffix("").parts))
            )
            for name, value in vars(module).items():
                if isinstance(value, Dispatcher) and value.py_func.__module__ == module.__name__:
                    yield f"{module.__name__}.{name}", value.py_func


def test_a_kernel_calls_none_of_another_file():
    """What is kept on disk is thrown away when its own file changes, not when others do."""
    names = dict(kernels())
    assert "keras_unet.objects.flooding.flood" in names
    for name, function in names.items():
        known = function.__globals__
        for used in function.__code__.co_names:
            if isinstance(known.get(used), Dispatcher):
                assert known[used].py_func.__module__ == function.__module__, (name, used)
