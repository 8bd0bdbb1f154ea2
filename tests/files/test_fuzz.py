"""Damaged files of every kind end in an error that names them; the long form is a benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.core

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_readers.py"


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
def test_two_hundred_mutated_files():
    command = [sys.executable, SCRIPT, "--quick", "--cases", "200", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 files, 0 findings" in done.stdout
