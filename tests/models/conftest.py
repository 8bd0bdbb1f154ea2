"""A process beside the tests that loads what they save."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "load_elsewhere.py"


@pytest.fixture(scope="session")
def load_elsewhere():
    """A function of three paths: a model, an array, and the model's answer to it. Gives a dict."""
    with subprocess.Popen(
        [sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def load(*paths):
            print(json.dumps([str(path) for path in paths]), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline() or '{"error": "the process has ended"}')

        yield load
        process.stdin.close()
