"""An ONNX file, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_unet._extras import import_extra
from keras_unet.inference.engines.base import Engine


class OnnxEngine(Engine):
    """An `.onnx` file of `export.onnx`, on the CPU.

    Args:
        file: The file.
        description: What the `.json` file beside it holds.
        num_threads: Threads. Defaults to None, one for each core.

    Raises:
        ImportError: If onnxruntime is not installed.
        ValueError: If the file is damaged.
    """

    name = "onnx"

    def __init__(
        self, file: Path, description: Mapping[str, Any], num_threads: int | None = None
    ) -> None:
        onnxruntime = import_extra("onnxruntime", str(file), "onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or 0
        options.log_severity_level = 3
        # Threads that wait by spinning took a third of the CPU time and gained nothing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base
            raise ValueError(
                f"{file} is no ONNX file or damaged ({error}); export it again"
            ) from error
        self.files = (file,)
        self.gives = description["output"]
        (given,), (answer,) = self._session.get_inputs(), self._session.get_outputs()
        self._name = given.name
        sizes = [size if isinstance(size, int) else None for size in given.shape[1:]]
        self.input_shape = (*sizes[:-1], description["channels"])
        self.num_outputs = int(answer.shape[-1])

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Runs a batch."""
        return np.asarray(self._session.run(None, {self._name: batch})[0], np.float32)
