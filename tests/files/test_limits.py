"""How many pixels a file may have, who decides it, and what is said."""

from __future__ import annotations

import numpy as np
import pytest

from keras_unet.errors import UsageError
from keras_unet.files.limits import MAX_PIXELS, check_pixels, named_memory, names_memory

pytestmark = pytest.mark.core


def test_the_limit_itself_is_allowed(monkeypatch):
    monkeypatch.delenv("KERAS_UNET_MAX_PIXELS", raising=False)
    check_pixels("x.tif", (4, 2**13, 2**13))
    with pytest.raises(ValueError, match="has 1 x 16384") as error:
        check_pixels("x.tif", (1, 2**14, 2**14 + 1))
    assert str(error.value) == (
        "x.tif has 1 x 16384 x 16385 = 268,451,840 pixels, the limit is 268,435,456; cut it, use "
        "the way for large images, or raise max_pixels (--max-pixels) to 268451840"
    )
    assert MAX_PIXELS == 268_435_456


def test_argument_before_environment_before_default(monkeypatch):
    monkeypatch.setenv("KERAS_UNET_MAX_PIXELS", "12")
    check_pixels("x.png", (3, 4))
    with pytest.raises(ValueError, match="15 pixels, the limit is 12"):
        check_pixels("x.png", (3, 5))
    check_pixels("x.png", (3, 5), max_pixels=15)
    with pytest.raises(ValueError, match="the limit is 8"):
        check_pixels("x.png", (3, 4), max_pixels=8)
    monkeypatch.setenv("KERAS_UNET_MAX_PIXELS", " ")
    check_pixels("x.png", (300, 400))


@pytest.mark.parametrize("text", ["many", "-3", "0", "1e9", "1.5", "9" * 5000, "²"])
def test_an_environment_that_is_no_number_is_named(monkeypatch, text):
    monkeypatch.setenv("KERAS_UNET_MAX_PIXELS", text)
    with pytest.raises(UsageError, match="KERAS_UNET_MAX_PIXELS must be a positive") as error:
        check_pixels("x.png", (1, 1))
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "9"])
def test_an_argument_that_is_no_number_is_named(value):
    with pytest.raises(ValueError, match="max_pixels must be a positive integer"):
        check_pixels("x.png", (1, 1), max_pixels=value)


def test_memory_that_does_not_suffice_is_named():
    with (
        pytest.raises(UsageError, match=r"x\.png does not fit .*, 4,000 bytes more are needed"),
        named_memory("x.png", 4000),
    ):
        raise MemoryError
    with (
        pytest.raises(UsageError, match=r"x\.png does not fit into the memory;"),
        named_memory("x.png"),
    ):
        raise MemoryError


def test_bytes_that_numpy_asked_for_are_named():
    @names_memory
    def read(path, sizes):
        return np.empty(sizes, np.uint16)

    assert read("x.png", (3, 4)).shape == (3, 4)
    with pytest.raises(UsageError, match=r"x\.png does not fit .*, 400,000,000,000,000,000 bytes"):
        read("x.png", (2 * 10**8, 10**9))
