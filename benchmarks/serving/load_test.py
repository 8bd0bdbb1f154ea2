"""Load test of a server on this computer: latency and throughput; with --soak, a long run.

    cd benchmarks/serving
    python load_test.py models/nuclei                  # starts keras-unet serve over it
    python load_test.py models/nuclei --soak 30        # swaps, kill -9, malformed requests
    python load_test.py --rest http://127.0.0.1:8501 --grpc 127.0.0.1:8500 --model nuclei

Every measurement is bounded in requests and in time. Other computers than this one are refused.
About 6 minutes with the defaults and the preset `nuclei` on 2 busy cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from calls import KINDS, Call, check_loopback, image_of, make_call
from server_process import ServerProcess
from soak import Soak, SoakRun

from keras_unet.serving.client import RestClient
from keras_unet.serving.models import version_folders


@dataclass(frozen=True)
class Row:
    """One measurement; times in milliseconds."""

    protocol: str
    signature: str
    size: int
    users: int
    requests: int
    failures: int
    p50: float
    p95: float
    p99: float
    highest: float
    per_second: float
    kilobytes_out: float
    kilobytes_in: float


def measure(
    kind: tuple[str, str], size: int, calls: Sequence[Call], requests: int, seconds: float
) -> Row:
    """Sends up to `requests` requests, for up to `seconds`, from one thread for each call."""
    for call in calls:
        call()  # the connection, and what the server does only once
    times: list[float] = []
    sizes = [(0, 0)]
    failures = 0
    lock = threading.Lock()
    left = iter(range(requests))
    end = time.monotonic() + seconds

    def use(call: Call) -> None:
        nonlocal failures
        while time.monotonic() < end:
            with lock:
                if next(left, None) is None:
                    return
            begun = time.perf_counter()
            try:
                moved = call()
            except Exception as error:  # a failure is a result
                with lock:
                    failures += 1
                print(f"{kind}: {error!r}"[:200], file=sys.stderr)
            else:
                with lock:
                    times.append(1000 * (time.perf_counter() - begun))
                    sizes[0] = moved

    threads = [threading.Thread(target=use, args=(call,)) for call in calls]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - begun
    p50, p95, p99 = np.percentile(times or [np.nan], [50, 95, 99])
    return Row(
        *kind,
        size,
        len(calls),
        len(times),
        failures,
        *(round(float(value), 1) for value in (p50, p95, p99, max(times, default=np.nan))),
        round(len(times) / passed, 2),
        *(round(moved / 1000, 1) for moved in sizes[0]),
    )


def load(arguments: argparse.Namespace, addresses: tuple[str, str], model: str) -> list[Row]:
    """All measurements, printed as they come."""
    with RestClient(model, addresses[0]) as client:
        channels = client.metadata()["channels"]
    heads = ("protocol", "signature", "size", "users", "n", "failed")
    heads += ("p50 ms", "p95", "p99", "max", "per s", "kB out", "kB in")
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads), flush=True)
    rows = []
    for size in arguments.sizes:
        image = image_of(size, channels)
        for kind in KINDS:
            for users in arguments.users:
                calls = [make_call(kind, addresses, model, image, 60) for _ in range(users)]
                row = measure(kind, size, calls, arguments.requests, arguments.seconds)
                print("| " + " | ".join(map(str, asdict(row).values())) + " |", flush=True)
                rows.append(row)
    return rows


def report(found: Soak) -> bool:
    """Prints what a soak found; whether nothing went wrong."""
    growth = found.growth()
    lives = [(round(life[0][1]), round(life[-1][1])) for life in found.memory if life]
    print(f"requests answered: {found.requests}")
    print(
        f"failed: {len(found.failures)}; while the server was killed: {found.failures_while_down}"
    )
    print(f"version swaps: {found.swaps}")
    print(f"malformed requests by status: {dict(sorted(found.malformed.items()))}")
    print(f"MiB at the start and the end of each life: {lives}; growth from the middle: {growth}")
    for failure in found.failures[:20]:
        print(f"  {failure}")
    return not found.failures and found.swaps == 3


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    numbers = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "base", nargs="?", type=Path, help="folder of versions; its name: the model"
    )
    parser.add_argument("--rest", help="address of a server that runs already")
    parser.add_argument("--grpc", help="its gRPC address")
    parser.add_argument("--model", help="its model")
    parser.add_argument(
        "--sizes", type=numbers, default=[256, 512], help="such as 256,512 (pixels)"
    )
    parser.add_argument("--users", type=numbers, default=[1, 4], help="such as 1,4: at a time")
    parser.add_argument("--requests", type=int, default=40, help="a measurement (default 40)")
    parser.add_argument("--seconds", type=float, default=15, help="a measurement (default 15)")
    parser.add_argument("--quick", action="store_true", help="2 users, 4 requests of 64 pixels")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="a long run instead")
    parser.add_argument("--pause", type=float, default=0.2, help="of each user of a soak, seconds")
    parser.add_argument("--out", type=Path, help="also write JSON")
    found = parser.parse_args(arguments)
    if found.quick:
        found.sizes, found.users, found.requests, found.seconds = [64], [2], 4, 5.0
    if found.base is None and not (found.rest and found.grpc and found.model):
        parser.error("give a folder of versions, or --rest, --grpc and --model")
    if found.base is not None and not version_folders(found.base):
        parser.error(f"no version in {found.base}; keras-unet export --out writes one")
    if found.soak and found.base is None:
        parser.error("--soak starts and kills its own server: give a folder of versions")
    return found


@contextmanager
def server(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Addresses of the server under test."""
    if arguments.base is None:
        check_loopback(arguments.rest)
        check_loopback(arguments.grpc)
        yield arguments.rest.rstrip("/"), arguments.grpc
        return
    process = ServerProcess(arguments.base)
    try:
        yield process.addresses
        print(f"Memory of the server: {process.memory:.0f} MiB")
    finally:
        process.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the test; the exit status is 1 if a request failed."""
    given = parse(arguments)
    if given.soak:
        folders = version_folders(given.base)
        with server(given) as addresses, RestClient(given.base.name, addresses[0]) as client:
            channels = client.metadata()["channels"]
        image = image_of(given.sizes[0], channels)
        found = SoakRun(folders[max(folders)], given.soak, image, given.pause).run()
        if given.out:
            given.out.write_text(json.dumps(asdict(found), indent=1) + "\n")
        return 0 if report(found) else 1
    with server(given) as addresses:
        rows = load(given, addresses, given.model or given.base.name)
    if given.out:
        given.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return int(any(row.failures or not row.requests for row in rows))


if __name__ == "__main__":
    sys.exit(main())
