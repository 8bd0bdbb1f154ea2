"""An OpenVINO network, run by OpenVINO.

OpenVINO's CPU plugin gives the thread that compiles a network a stack of its own for signals, and
takes it away with the network: it puts back the one before, which is gone if networks are dropped
in another order than last in, first out. The next signal of that thread (Ctrl-C, the end of a
batch job) is then a crash. So networks are compiled and dropped in a thread that gets no signals.
"""

from __future__ import annotations

import contextlib
import os
import signal
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_unet._extras import import_extra
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.precision import warn_of_slowness

HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""OpenVINO's names; left to itself it takes bfloat16 where the CPU has it."""


def _without_signals() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _start_thread() -> None:
    """A new thread for networks; a forked process has none of its parent's."""
    global _thread
    _thread = ThreadPoolExecutor(1, "openvino", initializer=_without_signals)


_thread: ThreadPoolExecutor
_start_thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_thread)


def _drop(held: list[Any]) -> None:
    with contextlib.suppress(RuntimeError):  # the program ends, and the thread has
        _thread.submit(held.clear)


class OpenVinoEngine(Engine):
    """A `.xml` file of `export.openvino` with its `.bin`, or an `.onnx` file, on the CPU.

    Args:
        file: The file.
        description: What the `.json` file beside it holds.
        num_threads: Threads. Defaults to None, OpenVINO's own choice.
        precision: "float32" or "bfloat16". Defaults to "float32".

    Raises:
        ImportError: If openvino is not installed.
        ValueError: If a file is missing or damaged.
    """

    name = "openvino"
    precisions = ("float32", "bfloat16")

    def __init__(
        self,
        file: Path,
        description: Mapping[str, Any],
        num_threads: int | None = None,
        precision: str = "float32",
    ) -> None:
        self.precision = precision
        self._again = partial(OpenVinoEngine, file, description, num_threads)
        openvino = import_extra("openvino", str(file), "'keras-unet-bio[interchange]'")
        parts = [file] if file.suffix == ".onnx" else [file, file.with_suffix(".bin")]
        if not parts[-1].is_file():
            raise ValueError(f"{file.with_suffix('.bin')} is missing; copy it beside {file}")
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
        if num_threads is not None:
            options["INFERENCE_NUM_THREADS"] = num_threads
        try:
            self._held = _thread.submit(_compiled, openvino, file, options).result()
        except RuntimeError as error:
            raise ValueError(
                f"{file} is no OpenVINO network or damaged ({error}); export it again"
            ) from error
        weakref.finalize(self, _drop, self._held).atexit = False
        self.files = tuple(parts)
        self.gives = description["output"]
        sizes = [_size(dim) for dim in self._network.input(0).partial_shape][1:]
        self.input_shape = (*sizes[:-1], description["channels"])
        # Of some ONNX files OpenVINO itself does not tell it.
        channels = description.get("num_outputs", self._network.output(0).partial_shape[-1])
        if (told := _size(channels)) is None:
            raise ValueError(
                f"OpenVINO does not know the channels of the output of {file}; export it again, or "
                "choose the engine 'onnx'"
            )
        self.num_outputs = told

    @property
    def _network(self) -> Any:
        return self._held[0]

    def in_precision(self, precision: str) -> OpenVinoEngine:
        """The same file, compiled for another precision."""
        if precision == self.precision:
            return self
        if precision == "bfloat16":
            warn_of_slowness()
        return self._again(precision)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Runs a batch."""
        return np.array(self._network(batch)[0], np.float32)  # a copy: the memory is used again


def _compiled(openvino: Any, file: Path, options: Mapping[str, Any]) -> list[Any]:
    """A list that holds the network, and nothing else does."""
    return [openvino.Core().compile_model(str(file), "CPU", options)]


def _size(dimension: Any) -> int | None:
    if isinstance(dimension, int):
        return dimension
    return None if dimension.is_dynamic else int(dimension.get_length())
