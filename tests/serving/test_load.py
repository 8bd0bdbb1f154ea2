"""The load test: quick, bounded, for this computer only; its malformed requests do no harm."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "serving"


def run(*arguments, timeout=120):
    return subprocess.run(
        [sys.executable, str(FOLDER / "load_test.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def scripts(monkeypatch):
    """Imports a script of the folder by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_quick(served, scripts, tmp_path, capsys):
    arguments = ["--rest", served.rest, "--grpc", served.grpc, "--model", "cells", "--quick"]
    arguments += ["--out", str(tmp_path / "rows.json")]
    assert scripts("load_test").main(arguments) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert len(rows) == 6
    assert {row["requests"] for row in rows} == {4}
    assert all(0 < row["p50"] <= row["p95"] <= row["p99"] <= row["highest"] for row in rows)
    sizes = {(row["protocol"], row["signature"]): row["kilobytes_out"] for row in rows}
    assert sizes["rest", "segment_bytes"] < sizes["rest", "classes"]
    assert "| rest | segment_bytes | 64 | 2 | 4 | 0 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a folder of versions"),
        (["nothing"], "no version in nothing"),
        (
            ["--rest", "http://127.0.0.1:1", "--grpc", "x:1", "--model", "m", "--soak", "1"],
            "starts and kills",
        ),
    ],
)
def test_bad_arguments(scripts, arguments, message, capsys):
    with pytest.raises(SystemExit):
        scripts("load_test").main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://example.org:8501", "192.0.2.1:8500"])
def test_other_computers_are_refused(scripts, address):
    with pytest.raises(ValueError, match="this computer only"):
        scripts("calls").check_loopback(address)


def test_malformed_requests_are_refused_and_do_no_harm(own, scripts):
    malformed = scripts("fuzz").malformed
    found = malformed("cells", 300, seed=1)
    assert found == malformed("cells", 300, seed=1)
    with requests.Session() as session:
        for one in found:
            answer = session.post(own.rest + one.path, data=one.body, headers=one.headers)
            assert answer.status_code < 500 or answer.status_code == 501, (one, answer.text)
        assert session.get(own.url()).ok


@pytest.mark.slow
def test_soak(models):
    """A minute with three swaps, a kill -9 and 1,000 malformed requests."""
    done = run(models.parent / "cells", "--soak", "1", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed: 0;" in done.stdout
    assert "version swaps: 3" in done.stdout


@pytest.mark.slow
def test_soak_of_half_an_hour(models):
    done = run(models.parent / "cells", "--soak", "30", timeout=2400)
    assert done.returncode == 0, done.stdout + done.stderr
