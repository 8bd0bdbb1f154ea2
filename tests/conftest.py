"""Shared fixtures. Real data is read from KERAS_UNET_DATA and never copied into the project."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Graphs are millions of objects that stay: looking through them often is a tenth of the time.
gc.set_threshold(200_000, 50, 100)

ROOT = Path(__file__).resolve().parents[1]

# Processes that tests start find the checkout too, whatever is installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers a file stays in one: what its fixtures build is built once."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # the order below
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that no worker waits for it; no POSIX signals on Windows."""
    items.sort(key=lambda item: item.path.name != "test_backends.py")
    if sys.platform == "win32":
        for item in items:
            if item.get_closest_marker("posix"):
                item.add_marker(pytest.mark.skip(reason="needs POSIX"))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder with the real data sets; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("KERAS_UNET_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: set KERAS_UNET_DATA (looked in {folder})")
    return folder
