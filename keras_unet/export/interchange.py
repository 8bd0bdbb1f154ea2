"""The network alone as ONNX or OpenVINO, by Keras's own exporters."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet._extras import import_extra
from keras_unet.export.float32 import float32_model
from keras_unet.export.graph import check_exportable
from keras_unet.inference.description import describe

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

NEEDS = {"onnx": ("onnx", "tf2onnx"), "openvino": ("openvino",)}


def onnx(segmenter: Segmenter, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Writes the network as ONNX: normalized images `(N, *spatial, C)` -> logits.

    The input is called `image`, the output `logits` (`probabilities` where the network ends in
    them), axes of any size `batch`, `depth`, `height`, `width` (`output_height` where the output is
    smaller). Sizes are those that the network takes itself (`model.geometry`); normalization, tiles
    and activation are the caller's part. `NAME.json` beside the file describes them.

    Args:
        segmenter: The trained segmenter, of any rank.
        path: The file, ending in `.onnx`.
        overwrite: Whether existing files are replaced. Defaults to False.

    Returns:
        The path.

    Raises:
        ImportError: If onnx or tf2onnx is missing: `pip install 'keras-unet-bio[interchange]'`.
        ValueError: If the path ends otherwise, or the backend is not TensorFlow.
        FileExistsError: If a file exists.

    Example:
        >>> keras_unet.export.onnx(segmenter, "cells.onnx")
        PosixPath('cells.onnx')
    """
    return _export(segmenter, Path(path), "onnx", (".onnx",), overwrite)


def openvino(segmenter: Segmenter, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Writes the network for OpenVINO: `NAME.xml` and `NAME.bin`; otherwise as `onnx`.

    OpenVINO computes in bfloat16 on CPUs that have it; the property `INFERENCE_PRECISION_HINT` of
    `"f32"` asks for float32.

    Args:
        segmenter: The trained segmenter, of any rank.
        path: The file, ending in `.xml`.
        overwrite: Whether existing files are replaced. Defaults to False.

    Returns:
        The path.

    Raises:
        ImportError: If openvino is missing: `pip install 'keras-unet-bio[interchange]'`.
        ValueError: If the path ends otherwise, or the backend is not TensorFlow.
        FileExistsError: If a file exists.

    Example:
        >>> keras_unet.export.openvino(segmenter, "openvino/cells.xml")
        PosixPath('openvino/cells.xml')
    """
    return _export(segmenter, Path(path), "openvino", (".xml", ".bin"), overwrite)


def _export(
    segmenter: Segmenter, path: Path, kind: str, suffixes: tuple[str, ...], overwrite: bool
) -> Path:
    check_exportable(segmenter)
    if path.suffix != suffixes[0]:
        raise ValueError(f"path must end in {suffixes[0]}. Received: path={str(path)!r}")
    targets = [path.with_suffix(suffix) for suffix in (*suffixes, ".json")]
    for file in targets:
        if file.exists() and not overwrite:
            raise FileExistsError(f"{file} exists; pass overwrite=True or another path")
    for package in NEEDS[kind]:
        import_extra(package, f"export to {kind}", "'keras-unet-bio[interchange]'")
    model = float32_model(segmenter.model)
    # Keras exports what it has seen called; a model that was just loaded has not been.
    sizes = [size or segmenter.geometry.min_size for size in model.input_shape[1:-1]]
    model(np.zeros((1, *sizes, model.input_shape[-1]), np.float32))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        file = Path(scratch) / path.name
        model.export(str(file), format=kind, verbose=False)
        if kind == "onnx":
            _name(file, segmenter)
        text = json.dumps(describe(segmenter, output=segmenter.gives), indent=2) + "\n"
        file.with_suffix(".json").write_text(text, encoding="utf-8")
        for target in reversed(targets):
            shutil.move(file.with_suffix(target.suffix), target)
    return path


AXES = ("depth", "height", "width")


def _name(file: Path, segmenter: Segmenter) -> None:
    """Gives the input, the output and the axes of any size names that say what they are."""
    from onnx import load, save

    network = load(file)
    (image,), (answer,) = network.graph.input, network.graph.output
    names = {image.name: "image", answer.name: segmenter.gives}
    _rename(network.graph, names)
    axes = AXES[-segmenter.geometry.rank :]
    smaller = segmenter.geometry.padding == "valid"
    for value, prefix in ((image, ""), (answer, "output_" if smaller else "")):
        value.name = names[value.name]
        sizes = value.type.tensor_type.shape.dim
        for size, name in zip(sizes, ("batch", *(prefix + axis for axis in axes)), strict=False):
            if not size.HasField("dim_value"):
                size.dim_param = name
    save(network, file)


def _rename(graph: Any, names: dict[str, str]) -> None:
    """Other names for values, in the bodies of loops and branches, too."""
    for node in graph.node:
        for words in (node.input, node.output):
            words[:] = [names.get(word, word) for word in words]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)
