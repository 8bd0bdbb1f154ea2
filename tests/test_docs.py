"""Every example of a docstring, and every block of the README files, does what it says."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import shlex
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
import typer

import keras_unet as ku

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="examples show paths as POSIX has them")

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(ku.__path__, "keras_unet.")
    if ">>>" in Path(importlib.util.find_spec(module.name).origin).read_text(encoding="utf-8")
)

PENDING: dict[str, str] = {}
"""Docstring -> why its example is not run."""

SMALLER = {
    "filters=32": "filters=2",
    "tile=252": "tile=188",
    "batch_size=4": "batch_size=1",
    "steps_per_epoch=100, epochs=20": "steps_per_epoch=1, epochs=1",
    "steps_per_epoch=100,": "steps_per_epoch=1,",
}
"""What is made smaller in the README, so that it is quick."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A folder with small files, and the names that examples take for granted."""
    folder = tmp_path_factory.mktemp("docs")
    samples = ku.data.synthetic_cells(3, shape=(64, 80), radius=8)
    for sample in samples:
        for kind, write, pixels in (
            ("images", ku.data.write_image, sample.image),
            ("masks", ku.data.write_labels, sample.instances),
        ):
            (folder / kind).mkdir(exist_ok=True)
            write(folder / kind / f"{sample.name}.png", pixels)
    ku.data.write_image(folder / "cells.png", samples[0].image)
    ku.data.write_labels(folder / "mask.png", samples[0].instances)
    model = ku.models.UNet(filters=2, depth=1, padding="same")
    segmenter = ku.Segmenter(model)
    segmenter.save(folder / "runs" / "cells")
    (folder / "folder").mkdir()
    names = {
        "samples": samples,
        "sample": samples[0],
        "image": samples[0].image,
        "model": model,
        "segmenter": segmenter,
        "folder": folder / "folder",
    }
    return folder, names


@pytest.fixture
def namespace(stage, monkeypatch):
    """The names of an example, in the folder of the stage, with no server on any port."""
    folder, names = stage
    monkeypatch.chdir(folder)
    for name in ("RestClient", "GrpcClient"):
        client = create_autospec(getattr(ku.serving, name))
        client.return_value.__enter__.return_value = client.return_value
        monkeypatch.setattr(ku.serving, name, client)
    return {"np": np, "ku": ku, "keras_unet": ku, "Path": Path, **names}


def public_names() -> dict[str, object]:
    """What examples use without its package: our classes and functions."""
    packages = (ku.objects, ku.losses, ku.metrics, ku.layers, ku.data, ku.targets, ku.geometry)
    return {name: getattr(package, name) for package in packages for name in package.__all__}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of Keras's ONNX and OpenVINO exports
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["keras_unet", *MODULES])
def test_docstrings(name, namespace):
    module = importlib.import_module(name)
    names = {**public_names(), **vars(module), **namespace}
    attempted = 0
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, globs=names):
        if test.name in PENDING:
            continue
        shown: list[str] = []
        result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=shown.append)
        assert not result.failed, "".join(shown)
        attempted += result.attempted
    assert attempted or any(key.startswith(name) for key in PENDING)


def test_no_example_is_skipped():
    skipped = [
        name
        for name in MODULES
        if "+SKIP" in Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
    ]
    assert skipped == []


def blocks(readme: str, language: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("readme", "count"), [("README.md", 6), ("serving/README.md", 1)])
def test_python_blocks_of_the_readme(readme, count, namespace):
    found = blocks(readme, "python")
    assert len(found) == count
    for code in found:
        for large, small in SMALLER.items():
            code = code.replace(large, small)
        exec(compile(code, readme, "exec"), namespace)


def test_what_is_made_smaller_is_in_the_readme():
    text = "".join(blocks("README.md", "python"))
    assert [large for large in SMALLER if large not in text] == []


def commands() -> list[str]:
    """The arguments of every `keras-unet` in the README files."""
    lines = [
        line
        for readme in ("README.md", "serving/README.md", "CONTRIBUTING.md")
        for block in blocks(readme, "bash")
        for line in block.splitlines()
    ]
    found = [re.search(r"(?:^|/)keras-unet (.*)", line) for line in lines]
    return [match[1] for match in found if match]


@pytest.mark.parametrize("line", commands())
def test_commands_of_the_readme_have_these_options(line):
    from keras_unet.commands.app import app

    group = typer.main.get_command(app)
    arguments = shlex.split(line, comments=True)
    with group.make_context("keras-unet", list(arguments)) as context:
        name, command, rest = group.resolve_command(context, arguments)
        with command.make_context(name, rest, parent=context) as parsed:
            assert parsed.args == []
