"""Runs the `backend` tests again under JAX and PyTorch, each in one process of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLAIN = ("layers", "losses", "metrics")
TESTS = {
    "jax": (*PLAIN, "models/test_unet.py", "models/test_unet_plus_plus.py"),
    "torch": (*PLAIN, "models"),
}
FEW = {"jax": 2, "torch": 6}
"""Cases of each test, spread evenly. JAX compiles every operation anew for every shape, minutes for
all; they run by hand: `KERAS_BACKEND=jax pytest -m backend tests/{layers,losses,metrics,models}`.
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_tests_pass_on(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install 'keras-unet-bio[backends]'")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header"]
    command += ["--cases", str(FEW[backend]), "-m", "backend and not slow"]
    command += [f"tests/{path}" for path in TESTS[backend]]
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # small tests: compiling is what costs
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
