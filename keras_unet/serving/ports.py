"""The ports of a server, taken before there are models, so that a busy one is known at once."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any

from keras_unet.errors import UsageError
from keras_unet.serving.executor import DaemonExecutor
from keras_unet.serving.options import ServerOptions

BACKLOG = 256


class Ports:
    """Both ports; connections wait until the server starts. Also a context manager.

    Args:
        options: Where, and what a request may cost.

    Raises:
        UsageError: If a port is in use or may not be taken, or there is no such address.

    Attributes:
        rest: Sockets that listen, one for each address of the host.
        rest_port: Their port.
        grpc: The gRPC server, which is not started.
        grpc_port: Its port.
        executor: Threads that do the work of both.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.rest: list[socket.socket] = []
        self.executor = DaemonExecutor(options.workers or os.cpu_count() or 1, "predict")
        self.grpc = _grpc_server(self.executor, options)
        try:
            self.rest = _listen(options.host, options.rest_port, "rest_port")
            self.grpc_port = _add_port(self.grpc, options.host, options.grpc_port)
        except BaseException:
            self.close()
            raise
        self.rest_port: int = self.rest[0].getsockname()[1]

    def close(self) -> None:
        """Gives the ports back; those that a started server has are closed by it."""
        for one in self.rest:
            one.close()
        self.grpc.stop(0)
        self.executor.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Ports:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def in_url(host: str) -> str:
    """A host as addresses with ports have it."""
    return f"[{host}]" if ":" in host else host


def _busy(option: str, host: str, port: int, reason: str) -> UsageError:
    return UsageError(
        f"cannot listen on {in_url(host)}:{port} ({reason})",
        f"give another {option}=..., or 0 for a free one",
        f"say another --{option.replace('_', '-')}, or 0 for a free one",
    )


def _listen(host: str, port: int, option: str) -> list[socket.socket]:
    found: list[socket.socket] = []
    with contextlib.ExitStack() as opened:
        try:
            addresses = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except OSError as error:
            raise UsageError(
                f"there is no address {host!r} here ({error})",
                "give host='127.0.0.1' for this computer alone",
                "say --host 127.0.0.1 for this computer alone",
            ) from error
        # The addresses of IPv4 first, which there are everywhere.
        for family, kind, protocol, _, address in sorted(dict.fromkeys(addresses)):
            free = found[0].getsockname()[1] if found else port  # the same for all addresses
            try:
                one = opened.enter_context(socket.socket(family, kind, protocol))
                if os.name == "posix":  # elsewhere it would share the port
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((address[0], free, *address[2:]))
                one.listen(BACKLOG)
            except OSError as error:
                # Such as ::1 of localhost, where there is no IPv6.
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and found:
                    continue
                raise _busy(option, host, port, error.strerror or str(error)) from error
            found.append(one)
        opened.pop_all()
    return found


def _grpc_server(executor: DaemonExecutor, options: ServerOptions) -> Any:
    import grpc

    return grpc.server(
        executor,
        options=[
            ("grpc.max_receive_message_length", options.max_request_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a second server on the port is an error
        ],
        maximum_concurrent_rpcs=options.max_pending,
    )


def _add_port(server: Any, host: str, port: int) -> int:
    if port:  # gRPC would say on stderr, in its own words, that it is in use
        for one in _listen(host, port, "grpc_port"):
            one.close()
    try:
        found = server.add_insecure_port(f"{in_url(host)}:{port}")
    except RuntimeError as error:
        raise _busy("grpc_port", host, port, "in use, or not allowed") from error
    if not found:
        raise _busy("grpc_port", host, port, "in use, or not allowed")
    return found
