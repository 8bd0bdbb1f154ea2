"""What requests hold: places among those that run or wait, and memory for their bodies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from keras_unet.serving.contract import ServingError


class Places:
    """Counts requests and their bodies before they are there, not after.

    Args:
        max_pending: Requests that run or wait at the same time.
        max_bytes: Their bodies together.
        on_free: Called when a request has ended.
    """

    def __init__(self, max_pending: int, max_bytes: int, on_free: Callable[[], object]) -> None:
        self._max_pending, self._max_bytes, self._on_free = max_pending, max_bytes, on_free
        self._lock = threading.Lock()
        self.pending = 0
        self.bytes = 0

    def enter(self) -> Place:
        """A place for a request.

        Raises:
            ServingError: UNAVAILABLE, if there is none.
        """
        with self._lock:
            if self.pending >= self._max_pending:
                raise ServingError("UNAVAILABLE", f"{self.pending} requests are waiting; try again")
            self.pending += 1
        return Place(self)

    def take(self, count: int) -> None:
        """Counts bytes of a body.

        Raises:
            ServingError: UNAVAILABLE, if all bodies would become too large.
        """
        with self._lock:
            if self.bytes + count > self._max_bytes:
                message = f"the requests under way hold {self.bytes} bytes; try again"
                raise ServingError("UNAVAILABLE", message)
            self.bytes += count

    def free(self, count: int) -> None:
        """A request has ended, whose body had `count` bytes."""
        with self._lock:
            self.pending -= 1
            self.bytes -= count
        self._on_free()


class Place:
    """That of one request; given back when its handler and all its work have ended."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._holders = 1
        self._bytes = 0

    def take(self, count: int) -> None:
        """Counts more bytes of the body; see `Places.take`."""
        self._places.take(count)
        with self._lock:
            self._bytes += count

    def hold(self) -> None:
        """Another part of the request has begun."""
        with self._lock:
            self._holders += 1

    def leave(self) -> None:
        """A part of the request has ended."""
        with self._lock:
            self._holders -= 1
            last = not self._holders
        if last:
            self._places.free(self._bytes)


class Patience:
    """How long a request's work is wanted.

    Args:
        seconds: From now on. None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds
        self.gone = False

    @property
    def left(self) -> float | None:
        """Seconds that are left; None for no limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Called before every picture.

        Raises:
            ServingError: DEADLINE_EXCEEDED or CANCELLED, if nobody waits any more.
        """
        if self.gone:
            raise ServingError("CANCELLED", "the client has gone")
        if self.left == 0.0:
            raise self.late

    @property
    def late(self) -> ServingError:
        """The error when the time is over."""
        message = f"The request took longer than {self._seconds} seconds"
        return ServingError("DEADLINE_EXCEEDED", message)
