"""Requests that never end, cost more than their size, or come from pages of others."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import socket
import threading
import time

import cv2
import numpy as np
import pytest
import requests
from serving_models import png, write_version

from keras_unet.serving import GrpcClient, RestClient, Server, ServerOptions, ServingError
from keras_unet.serving.loading import plain_message
from keras_unet.serving.memory import Trimmer, resident_bytes
from keras_unet.serving.origins import Origins

IMAGE = (np.arange(35, dtype=np.uint8) * 7).reshape(5, 7)
LARGE = png(np.zeros((1400, 1000), np.uint8))  # two of them are beyond the model's limit
NODE = "\n\t [[{{node z}}]] [Op:g]"
LONG = 20.0
"""Seconds after which a test has failed; what it waits for comes in less than one."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits") / "own"
    folder.mkdir()
    write_version(folder, 1)
    return folder


def options(base, **changes):
    short = {"header_seconds": 0.4, "body_seconds": 0.4, "idle_seconds": 0.4, "grace_seconds": 0.5}
    return ServerOptions(base, rest_port=0, grpc_port=0, **{**short, **changes})


@pytest.fixture(scope="module")
def server(base):
    with Server(options(base, max_body_bytes=2**20, max_request_bytes=2**19)) as one:
        yield one


def connect(server) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", int(server.rest_url.rsplit(":", 1)[1])), LONG)
    return one


def read_all(one: socket.socket) -> bytes:
    found = b""
    try:
        while piece := one.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def head(server, length="Content-Length: 1000", path="/v1/models/own:predict") -> bytes:
    host = server.rest_url.removeprefix("http://")
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n\r\n".encode()


def count(server, **labels) -> float:
    registry = server.metrics.registry
    return sum(
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "keras_unet_serving_requests_total"
        and labels.items() <= sample.labels.items()
    )


def until(condition):
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# === What never ends ===


@pytest.mark.parametrize("start", [b"", b"P", b"GET / HTTP/1.1\r\nHost: loc", b"\r\n\r\n"])
def test_a_connection_without_a_header_is_closed(server, start):
    with connect(server) as one:
        one.sendall(start)
        assert b"200" not in read_all(one)[:20]


def trickle(one: socket.socket, byte: bytes) -> None:
    """Sends a byte now and then until the other side has closed."""
    for _ in range(int(LONG / 0.05)):
        try:
            one.sendall(byte)
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail("it was never cut off")


def test_a_header_that_comes_byte_by_byte_is_cut_off(server):
    with connect(server) as one:
        one.sendall(b"GET / HTTP/1.1\r\nX: ")
        trickle(one, b"a")


@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_body_that_stops_is_answered_408(server, length):
    with connect(server) as one:
        one.sendall(head(server, length) + b"5\r\n{")
        assert b" 408 " in read_all(one)[:20]
    until(lambda: server._rest.interface.places.pending == 0)
    assert server._rest.interface.places.bytes == 0


def test_a_body_may_not_take_its_time_in_all(base):
    with Server(options(base, body_seconds=0.15)) as server, connect(server) as one:
        one.sendall(head(server))
        trickle(one, b" ")


def test_an_idle_connection_is_closed(server):
    with connect(server) as one:
        one.sendall(f"GET /healthz HTTP/1.1\r\nHost: {server.rest_url[7:]}\r\n\r\n".encode())
        assert b"200" in one.recv(20)
        one.sendall(b"GET /he")
        read_all(one)


def test_a_client_that_does_not_read_is_left(base):
    body = gzip.compress(json.dumps({"inputs": np.zeros((1, 600, 900, 1)).tolist()}).encode())
    text = f"Content-Length: {len(body)}\r\nContent-Encoding: gzip"
    with Server(options(base, body_seconds=0.1)) as server, connect(server) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(head(server, text) + body)
        until(lambda: count(server, code="CANCELLED") == 1)
        assert server._rest.interface.places.pending == 0


# === What costs more than its size ===


def test_requests_count_from_their_header_on(base):
    with Server(options(base, max_pending=2, body_seconds=LONG)) as server:
        with connect(server) as first, connect(server) as second:
            for one in (first, second):
                one.sendall(head(server) + b"{")
            until(lambda: server._rest.interface.places.pending == 2)
            answer = requests.get(f"{server.rest_url}/v1/models/own")
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "1"
            assert requests.get(f"{server.rest_url}/healthz").ok
        until(lambda: server._rest.interface.places.pending == 0)
        assert requests.get(f"{server.rest_url}/v1/models/own").ok


def test_bodies_in_memory_are_limited_together(base):
    limits = {"max_body_bytes": 1_000_000, "max_request_bytes": 600_000, "body_seconds": LONG}
    with Server(options(base, **limits)) as server:
        places = server._rest.interface.places
        with connect(server) as first:
            first.sendall(head(server, "Content-Length: 550000") + b" " * 500_000)
            until(lambda: places.bytes == 500_000)
            url = f"{server.rest_url}/v1/models/own:predict"
            plain = requests.post(url, data=b" " * 550_000)
            packed = gzip.compress(b" " * 550_000)
            gzipped = requests.post(url, data=packed, headers={"Content-Encoding": "gzip"})
            for answer in (plain, gzipped):
                assert answer.status_code == 503
                assert "hold" in answer.json()["error"]
                assert answer.headers["Retry-After"] == "1"
            assert requests.post(url, data=b"{}").status_code == 400  # a small one fits
        until(lambda: places.bytes == 0)


def test_endless_chunks_are_refused_when_they_are_too_many(server):
    with connect(server) as one:
        one.sendall(head(server, "Transfer-Encoding: chunked"))
        answered = threading.Event()

        def send():
            try:
                while not answered.is_set():
                    one.sendall(b"10000\r\n" + b"1" * 65536 + b"\r\n")
            except OSError:
                pass

        thread = threading.Thread(target=send)
        thread.start()
        assert b" 413 " in one.recv(100)
        answered.set()
        thread.join(LONG)


def test_pictures_of_a_request_are_limited_together(server):
    for kind, address in ((RestClient, server.rest_url), (GrpcClient, server.grpc_target)):
        with kind("own", address) as client:
            one = client.predict("segment_bytes", {"image_bytes": np.array([LARGE], object)})
            assert one["height"].tolist() == [1400]
            for files in ([LARGE, LARGE], [png(IMAGE), png(IMAGE), LARGE, LARGE]):
                with pytest.raises(ServingError) as caught:
                    client.predict("segment_bytes", {"image_bytes": np.array(files, object)})
                assert caught.value.code == "INVALID_ARGUMENT"
                assert "may have 2000000 pixels in all" in caught.value.message
                assert "{{" not in caught.value.message


@pytest.mark.parametrize("file", [cv2.imencode(".tif", IMAGE)[1].tobytes(), b"no picture"])
def test_messages_name_no_nodes(server, file):
    with RestClient("own", server.rest_url) as client:
        for files in ([file], [png(IMAGE), file], [png(IMAGE)[:60]]):
            with pytest.raises(ServingError) as caught:
                client.predict("segment_bytes", {"image_bytes": np.array(files, object)})
            assert "{{" not in caught.value.message
            assert "\n" not in caught.value.message
    answer = requests.post(f"{server.rest_url}/page/segment", data=file)
    assert answer.status_code == 400
    words = "TIFF cannot be decoded" if file[:2] == b"II" else "not a PNG, JPEG, BMP, GIF or WebP"
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ('{{function_node f}} assertion failed: [no \\"x\\"] [y]' + NODE, 'no "x"'),
        (
            "Graph execution error:\n\nDetected at node a\n  File b\nInvalid PNG" + NODE,
            "Invalid PNG",
        ),
        ("{{function_node f}} Invalid JPEG, size 3" + NODE, "Invalid JPEG, size 3"),
        ("", ""),
    ],
)
def test_plain_messages(message, told):
    assert plain_message(message) == told


@pytest.fixture
def slow(base):
    """A server whose pictures take 0.2 s each, and the list of those that were begun."""
    with Server(options(base, workers=1, timeout_seconds=0.5)) as server:
        _, model = server.store.resolve("own")
        begun, run = [], model._run

        def one(*arguments):
            begun.append(time.monotonic())
            time.sleep(0.2)
            return run(*arguments)

        model._run = one
        yield server, begun


def test_no_picture_is_begun_after_the_deadline(slow):
    server, begun = slow
    batch = {"images": np.zeros((30, 5, 7, 1), np.float32)}
    for kind, address in ((RestClient, server.rest_url), (GrpcClient, server.grpc_target)):
        begun.clear()
        seconds = LONG if kind is RestClient else 0.5
        with (
            kind("own", address, retries=0, timeout=seconds) as client,
            pytest.raises(ServingError) as caught,
        ):
            client.predict("serving_default", batch)
        assert caught.value.code == "DEADLINE_EXCEEDED"
        until(lambda: server._executor._queue.empty())
        time.sleep(0.5)
        assert 1 <= len(begun) <= 4


def test_no_picture_is_begun_after_the_client_has_gone(slow, caplog):
    server, begun = slow
    body = json.dumps({"instances": np.zeros((30, 5, 7, 1)).tolist()}).encode()
    with caplog.at_level(logging.DEBUG, "keras_unet.serving"):
        with connect(server) as one:
            one.sendall(head(server, f"Content-Length: {len(body)}") + body)
            until(lambda: begun)
        until(lambda: count(server, code="CANCELLED") == 1)
    time.sleep(0.5)
    assert len(begun) <= 2
    [record] = [one for one in caplog.records if getattr(one, "code", "") == "CANCELLED"]
    assert record.levelno == logging.DEBUG


@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_client_that_goes_in_the_body_is_no_error(server, length, caplog):
    before = count(server, code="CANCELLED")
    with caplog.at_level(logging.INFO, "keras_unet.serving"):
        with connect(server) as one:
            one.sendall(head(server, length) + b"5\r\n{")
            until(lambda: server._rest.interface.places.pending == 1)
        until(lambda: count(server, code="CANCELLED") == before + 1)
    assert not caplog.records
    assert not count(server, code="INTERNAL")


def test_a_broken_body_is_an_error_of_the_client(server):
    with connect(server) as one:
        one.sendall(head(server, "Transfer-Encoding: chunked") + b"no size\r\n")
        assert b" 400 " in read_all(one)[:20]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00" * 9,  # the greeting of TLS
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 40_000 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_400_and_not_logged(server, sent, caplog):
    with caplog.at_level(logging.INFO), connect(server) as one:
        with contextlib.suppress(ConnectionError):
            one.sendall(sent)
        answer = read_all(one)
    assert not answer or b" 400 " in answer[:20]
    assert not caplog.records
    assert requests.get(f"{server.rest_url}/healthz").ok


# === Stopping ===


def test_stop_does_not_wait_for_work_that_nobody_waits_for(base):
    server = Server(options(base)).start()
    go = threading.Event()
    server._executor.submit(go.wait, LONG)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 0.5 + 2
    assert server.busy
    go.set()
    until(lambda: not server.busy)


def test_requests_that_run_are_answered_when_it_stops(base):
    server = Server(options(base, grace_seconds=LONG, workers=4)).start()
    _, model = server.store.resolve("own")
    running, run = [], model._run

    def slow(*arguments):
        running.append(1)
        time.sleep(0.5)
        return run(*arguments)

    model._run = slow
    found = []

    def ask():
        with RestClient("own", server.rest_url, retries=0) as client:
            found.append(client.segment(IMAGE))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(running) == 4)
    server.stop()
    for thread in threads:
        thread.join(LONG)
    assert len(found) == 4
    assert not server.busy


# === Whose page asks ===


def ask(server, **headers):
    return requests.get(f"{server.rest_url}/healthz", headers=headers)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_names_of_this_computer_may_be_asked(server, name):
    assert ask(server, Host=name).ok
    assert ask(server, Host=f"{name}:1234").ok
    assert ask(server, Host=f"{name}:80", Origin=f"http://{name}").ok
    assert ask(server, Host=f"{name}:1234", Origin=f"http://{name}:1234").ok
    assert ask(server, Host=name, Origin=f"https://{name}").ok  # behind a proxy with TLS


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8501", "::1", "a@b", ""],
)
def test_other_names_are_refused(server, host):
    answer = ask(server, Host=host)
    assert answer.status_code == 403
    assert "--allow-host" in answer.json()["error"]
    assert "\n" not in answer.text


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.example", "http://localhost:1", "file://", "", "http://localhost/x"],
)
def test_pages_of_others_are_refused(server, origin):
    for path in ("/healthz", "/v1/models/own", "/page.js"):
        answer = requests.get(server.rest_url + path, headers={"Origin": origin})
        assert answer.status_code == 403
        assert "--allow-host" in answer.json()["error"]
    answer = requests.post(f"{server.rest_url}/page/segment", headers={"Origin": origin})
    assert answer.status_code == 403


def test_hosts_that_are_allowed_and_addresses_for_others(base):
    class Asked:
        def __init__(self, **headers):
            self.headers = self
            self._found = headers

        def getall(self, name, default):
            return self._found.get(name, default)

    given = Origins("127.0.0.1", ["cells.lab"])
    assert given.refusal(Asked(Host=["cells.lab:8501"])) is None
    assert given.refusal(Asked(Host=["other.lab"]))
    assert given.refusal(Asked(Host=["cells.lab", "cells.lab"]))
    assert given.refusal(Asked())
    public = Origins("0.0.0.0")
    assert public.refusal(Asked(Host=["cells.lab"])) is None
    assert public.refusal(Asked(Host=["cells.lab"], Origin=["http://other.lab"]))
    assert public.refusal(Asked(Host=["cells.lab"], Origin=["http://cells.lab"] * 2))


# === Memory ===


@pytest.mark.skipif(not resident_bytes(), reason="the system does not tell a process's memory")
def test_memory_is_given_back_after_growth_only(monkeypatch):
    released = []
    monkeypatch.setattr("keras_unet.serving.memory.release_memory", lambda: released.append(1))
    trimmer = Trimmer()
    trimmer.start()
    trimmer.after_request()
    assert not released
    held = np.ones(100 * 2**20, np.uint8)
    trimmer.after_request()
    trimmer.after_request()  # at once again
    assert len(released) == 1
    del held
