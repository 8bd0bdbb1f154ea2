"""Readers of a file that a test holds in its hand."""

from __future__ import annotations

import functools

import pytest

from keras_unet.data import read_image, read_labels


def _read(path, reader, data, **options):
    path.write_bytes(data)
    return reader(path, **options)


@pytest.fixture
def image(tmp_path):
    """`read_image` of bytes."""
    return functools.partial(_read, tmp_path / "x", read_image)


@pytest.fixture
def labels(tmp_path):
    """`read_labels` of bytes."""
    return functools.partial(_read, tmp_path / "x", read_labels)
