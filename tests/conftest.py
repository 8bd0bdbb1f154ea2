"""Shared fixtures. Real data is read from KERAS_UNET_DATA and never copied into the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parents[1]

# Processes that tests start find the checkout too, whatever is installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder with the real data sets; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("KERAS_UNET_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: set KERAS_UNET_DATA (looked in {folder})")
    return folder
