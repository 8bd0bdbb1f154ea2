"""One SavedModel that the tests of exports share."""

import pytest
from export_cases import make

import keras_unet as ku


@pytest.fixture(scope="session")
def grey():
    """A segmenter of one channel whose tiles are smaller than most images of the tests."""
    return make(max_tile=68)


@pytest.fixture(scope="session")
def grey_version(grey, tmp_path_factory):
    """Its SavedModel."""
    base = tmp_path_factory.mktemp("models") / "cells"
    return ku.export.saved_model(
        grey, base, probability_png=True, warmup_sizes=[(24, 33)], max_pixels=20_000
    )
