"""`keras-unet serve` as a process that can be killed, with its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
MEBIBYTE = 2**20


class ServerProcess:
    """A server over a folder of versions, on ports of this computer.

    Args:
        base: Folder of versions.
        rest_port: Port; 0 for a free one.
        grpc_port: The same for gRPC.
    """

    def __init__(self, base: Path, rest_port: int = 0, grpc_port: int = 0) -> None:
        self.base = base
        self._log = Path(tempfile.mkstemp(prefix="serve-", suffix=".jsonl")[1])
        command = [sys.executable, "-m", "keras_unet.commands.app", "serve", str(base)]
        ports = [
            "--rest-port",
            str(rest_port),
            "--grpc-port",
            str(grpc_port),
            "--log-level",
            "info",
        ]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command + ports,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        self.addresses = self._wait()

    def _wait(self) -> tuple[str, str]:
        for _ in range(1200):
            for line in self._log.read_text().splitlines():
                if line.startswith("{") and (entry := json.loads(line))["message"] == "serving":
                    return entry["rest"], entry["grpc"]
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)
        self.close()
        raise RuntimeError("the server did not come up in two minutes")

    @property
    def ports(self) -> tuple[int, int]:
        """Of REST and gRPC."""
        rest, grpc = (int(address.rsplit(":", 1)[1]) for address in self.addresses)
        return rest, grpc

    @property
    def memory(self) -> float:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) * 1024 / MEBIBYTE

    @property
    def ready(self) -> bool:
        """Whether it says so."""
        try:
            return requests.get(f"{self.addresses[0]}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        self._process.kill()
        self._process.wait()
        self._log.unlink(missing_ok=True)

    def close(self) -> int:
        """SIGTERM; returns the exit status."""
        self._process.terminate()
        try:
            return self._process.wait(60)
        finally:
            self._process.kill()
            self._log.unlink(missing_ok=True)
