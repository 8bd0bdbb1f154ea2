"""A long run: steady users, three version swaps, a kill -9, and malformed requests in between."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import requests
from calls import Call, make_call
from fuzz import Malformed, malformed
from server_process import ServerProcess

USERS = (("rest", "segment_bytes"), ("grpc", "segment_bytes"), ("grpc", "classes"))
SWAPS = (0.15, 0.35, 0.85)
KILL = 0.5
"""Shares of the time at which things happen."""


@dataclass
class Soak:
    """What happened.

    Attributes:
        requests: Requests that were answered.
        failures: Errors while the server should have answered.
        failures_while_down: Errors between the kill and the new process's readiness.
        swaps: Versions that took over.
        malformed: Count of statuses of the malformed requests.
        memory: `(seconds, MiB)` of each life of the server.
    """

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    failures_while_down: int = 0
    swaps: int = 0
    malformed: dict[int, int] = field(default_factory=dict)
    memory: list[list[tuple[float, float]]] = field(default_factory=lambda: [[]])

    def growth(self) -> list[float]:
        """MiB by which each life's last third exceeds its middle third, by their medians."""
        found = []
        for life in self.memory:
            values = [value for _, value in life]
            third = len(values) // 3
            if third:
                first, last = values[third : 2 * third], values[-third:]
                found.append(float(np.median(last) - np.median(first)))
        return found


class SoakRun:
    """Runs it.

    Args:
        source: Folder of one version, which is served again and again under new numbers.
        minutes: How long.
        image: What is sent.
        pause: Seconds that a user waits between two requests.
        count: Number of malformed requests.
    """

    def __init__(
        self, source: Path, minutes: float, image: np.ndarray, pause: float = 0.2, count: int = 1000
    ) -> None:
        self._source, self._seconds, self._image = source, 60 * minutes, image
        self._pause, self._count = pause, count
        self._base = Path(tempfile.mkdtemp(prefix="soak-")) / source.parent.name
        self._base.mkdir()
        self._stop, self._down = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self.found = Soak()

    def run(self) -> Soak:
        """Blocks until the time is over."""
        self._new_version(1)
        self._server = ServerProcess(self._base)
        threads = [threading.Thread(target=self._use, args=(kind,)) for kind in USERS]
        threads.append(threading.Thread(target=self._send_malformed))
        threads.append(threading.Thread(target=self._watch_memory))
        for thread in threads:
            thread.start()
        try:
            self._drive()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._server.close()
            shutil.rmtree(self._base.parent)
        return self.found

    def _new_version(self, number: int) -> None:
        hidden = self._base / f".{number}"
        shutil.copytree(self._source, hidden)
        hidden.rename(self._base / str(number))

    def _drive(self) -> None:
        begun = time.monotonic()
        events: list[tuple[float, Callable[[], None]]] = [
            (share * self._seconds, lambda number=2 + at: self._swap(number))  # type: ignore[misc]
            for at, share in enumerate(SWAPS)
        ]
        events.append((KILL * self._seconds, self._kill))
        for moment, event in sorted(events, key=lambda one: one[0]):
            time.sleep(max(0, begun + moment - time.monotonic()))
            event()
        time.sleep(max(0, begun + self._seconds - time.monotonic()))

    def _swap(self, number: int) -> None:
        self._new_version(number)
        url = f"{self._server.addresses[0]}/v1/models/{self._base.name}/versions/{number}"
        for _ in range(600):
            answer = requests.get(url, timeout=10)
            if answer.ok and answer.json()["model_version_status"][0]["state"] == "AVAILABLE":
                self.found.swaps += 1
                return
            time.sleep(0.1)
        self.found.failures.append(f"version {number} did not become available")

    def _kill(self) -> None:
        self._down.set()
        ports = self._server.ports
        self._server.kill()
        with self._lock:
            self.found.memory.append([])
        self._server = ServerProcess(self._base, *ports)
        time.sleep(2)  # connections come back
        self._down.clear()

    def _use(self, kind: tuple[str, str]) -> None:
        call = make_call(kind, self._server.addresses, self._base.name, self._image, 60)
        while not self._stop.wait(self._pause):
            self._ask(kind, call)

    def _ask(self, kind: tuple[str, str], call: Call) -> None:
        down = self._down.is_set()
        try:
            call()
        except Exception as error:  # whatever goes wrong is what is counted
            with self._lock:
                if down or self._down.is_set():
                    self.found.failures_while_down += 1
                else:
                    self.found.failures.append(f"{kind}: {error!r}"[:300])
        else:
            with self._lock:
                self.found.requests += 1

    def _send_malformed(self) -> None:
        requests_of = malformed(self._base.name, self._count)
        pause = 0.9 * self._seconds / self._count
        begun = time.monotonic()
        for number, one in enumerate(requests_of):
            if self._stop.wait(max(0, begun + number * pause - time.monotonic())):
                return
            while self._down.is_set() and not self._stop.wait(0.1):
                pass
            self._send(one)

    def _send(self, one: Malformed) -> None:
        url = self._server.addresses[0] + one.path
        try:
            answer = requests.post(url, data=one.body, headers=one.headers, timeout=60)
        except requests.RequestException as error:
            if not self._down.is_set():
                with self._lock:
                    self.found.failures.append(f"malformed {one.body[:80]!r}: {error!r}"[:300])
            return
        with self._lock:
            counts = self.found.malformed
            counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
            if answer.status_code >= 500 and answer.status_code != 501:
                what = f"malformed {one.path[:80]} {one.body[:120]!r}"
                self.found.failures.append(f"{what}: {answer.status_code} {answer.text[:100]}")

    def _watch_memory(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(min(2.0, self._seconds / 30)):
            if not self._down.is_set() and self._server.alive:
                sample = (time.monotonic() - begun, self._server.memory)
                with self._lock:
                    self.found.memory[-1].append(sample)
