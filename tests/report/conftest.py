"""A folder of images, a folder for results, and what was read."""

from __future__ import annotations

import pytest
from drawn import picture

from keras_unet.data import read_image, write_image
from keras_unet.report import results


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for number in range(4):
        write_image(folder / f"{number}.png", picture(number))
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read."""
    names = []

    def reading(path, *args, **kwargs):
        names.append(path.name)
        return read_image(path, *args, **kwargs)

    monkeypatch.setattr(results, "read_image", reading)
    return names
