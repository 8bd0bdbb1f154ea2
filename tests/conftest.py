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


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cases 3`: of the cases of one test no more than these, spread evenly."""
    parser.addoption("--cases", type=int, help="cases of each test, all if not given")


def few_of_each(items: list[pytest.Item], cases: int) -> list[pytest.Item]:
    """Evenly spread cases of every test, the first and the last; each class of a tester is one."""
    of_test: dict[tuple[str, ...], list[pytest.Item]] = {}
    for item in items:
        name = item.nodeid.partition("[")[0].split("::")
        of_test.setdefault((name[0], name[-1]), []).append(item)
    kept = set()
    for all_cases in of_test.values():
        most = min(cases, len(all_cases))
        for index in range(most):
            kept.add(all_cases[round(index * (len(all_cases) - 1) / max(most - 1, 1))].nodeid)
    return [item for item in items if item.nodeid in kept]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest file first, so that no worker waits for it; no POSIX signals on Windows."""
    if cases := config.getoption("--cases"):
        items[:] = few_of_each(items, cases)
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
