"""Who may ask: names of this server, and pages that it has sent itself."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web

_PORTS = {"http": 80, "https": 443}


class Origins:
    """Refuses requests that a page of somebody else sends through the user's browser.

    On a loopback address, which such a page can reach under a name of its own (DNS rebinding), the
    header `Host` must be a name of this computer. Everywhere a request with the header `Origin`
    must come from a page of the same host.

    Args:
        host: Address to listen on.
        allowed: Further names.
    """

    def __init__(self, host: str, allowed: Iterable[str] = ()) -> None:
        names = {"localhost", "127.0.0.1", "::1", host, *allowed}
        self._names = {_plain(name) for name in names} if _is_loopback(host) else None

    def refusal(self, request: web.Request) -> str | None:
        """Why a request is refused, in one line; None if it is not."""
        hosts = request.headers.getall("Host", [])
        origins = request.headers.getall("Origin", [])
        host = _split(f"http://{hosts[0]}") if len(hosts) == 1 else None
        if self._names is not None and (host is None or host[0] not in self._names):
            return (
                f"Host {', '.join(hosts)[:100]!r} is no name of this server; if it is, start it "
                "with --allow-host NAME"
            )
        for origin in origins:
            if len(origins) > 1 or not hosts or not _same(origin, hosts[0]):
                return (
                    f"a page of {origin[:100]!r} may not ask this server; open its page under the "
                    "server's own name (another name for it: --allow-host NAME)"
                )
        return None


def _same(origin: str, host: str) -> bool:
    """Whether a page's origin is the host that it asks, over HTTP or behind a proxy with TLS."""
    scheme = origin.partition("://")[0].lower()
    if scheme not in _PORTS:
        return False
    own, asked = _split(origin), _split(f"{scheme}://{host}")
    return own is not None and own == asked


def _split(url: str) -> tuple[str, int] | None:
    """Host and port of `scheme://host:port`; None where there is more, or less."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme.lower()]
    except ValueError:
        return None
    if not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return _plain(parts.hostname), port


def _plain(name: str) -> str:
    return name.strip("[]").lower()


def _is_loopback(host: str) -> bool:
    try:
        found = (
            [host]
            if _is_address(host)
            else [str(one[4][0]) for one in socket.getaddrinfo(host, None)]
        )
    except OSError:
        return False
    return all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in found)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
