"""Threads that do the work of requests and never hold the interpreter."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class DaemonExecutor(Executor):
    """Like `ThreadPoolExecutor`; but work that nobody waits for ends with the process.

    Args:
        workers: Number of threads.
        name: Their name.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Runs a function in one of the threads.

        Raises:
            RuntimeError: After `shutdown`.
        """
        future: Future = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the server has stopped")
            self._queue.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more work; see `concurrent.futures.Executor.shutdown`."""
        with self._lock:
            self._closed = True
            while cancel_futures and not self._queue.empty():
                if item := self._queue.get():
                    item[0].cancel()
            for _ in self._threads:
                self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    @property
    def busy(self) -> bool:
        """Whether work goes on after `shutdown`; threads without work have ended by then."""
        for thread in self._threads:
            thread.join(0.2)
        return any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while item := self._queue.get():
            _run(*item)
            del item  # what it holds would stay until the next one comes


def _run(future: Future, function: Callable[..., Any], args: tuple, kwargs: dict) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*args, **kwargs)
    except BaseException as error:  # it belongs to whom waits for the result
        future.set_exception(error)
    else:
        future.set_result(result)
