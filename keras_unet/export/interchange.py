"""The network alone as ONNX or OpenVINO, by Keras's own exporters."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet._extras import import_extra
from keras_unet.errors import UsageError
from keras_unet.export.float32 import float32_model
from keras_unet.export.graph import check_exportable
from keras_unet.export.half_weights import store_in_half
from keras_unet.files.checksum import sha256
from keras_unet.inference import network_file, presets, storage
from keras_unet.inference.description import describe

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

TILE = 512
"""Side in pixels of the tile whose memory a network file tells."""
NEEDS = {"onnx": ("onnx", "tf2onnx"), "openvino": ("openvino",)}


def onnx(
    segmenter: Segmenter,
    path: str | os.PathLike,
    *,
    overwrite: bool = False,
    in_place: bool = False,
) -> Path:
    """Writes the network as ONNX: normalized images `(N, *spatial, C)` -> logits.

    The input is called `image`, the output `logits` (`probabilities` where the network ends in
    them), axes of any size `batch`, `depth`, `height`, `width` (`output_height` where the output is
    smaller). Sizes are those that the network takes itself (`model.geometry`); normalization, tiles
    and activation are the caller's part. `NAME.json` beside the file describes them.

    Args:
        segmenter: The trained segmenter, of any rank.
        path: The file, ending in `.onnx`; with `in_place` the segmenter's run folder, or the folder
            of its preset.
        overwrite: Whether existing files are replaced. Defaults to False.
        in_place: Whether to write the folder's network file, `network.onnx`, with which
            `Segmenter.load` runs the network without Keras. It replaces an older one. Weights that
            half precision holds exactly are stored in it. Defaults to False.

    Returns:
        The path of the file.

    Raises:
        ImportError: If onnx or tf2onnx is missing: `pip install 'keras-unet-bio[interchange]'`.
        ValueError: If the path ends otherwise, or the backend is not TensorFlow, or the folder's
            weights are not the segmenter's.
        FileExistsError: If a file exists.

    Example:
        >>> keras_unet.export.onnx(segmenter, "cells.onnx")
        PosixPath('cells.onnx')
        >>> segmenter.export(segmenter.save("runs/cells"), "onnx", in_place=True)
        PosixPath('runs/cells/network.onnx')
    """
    if in_place:
        return _write_network(segmenter, Path(path))
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
    _check_packages(kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        file = Path(scratch) / path.name
        _write(segmenter, file, kind)
        for target in reversed(targets):
            shutil.move(file.with_suffix(target.suffix), target)
    return path


def _write(segmenter: Segmenter, file: Path, kind: str, **more: Any) -> None:
    """Writes a network and its description, which also tells what is given."""
    model = float32_model(segmenter.model)
    # Keras exports what it has seen called; a model that was just loaded has not been.
    sizes = [size or segmenter.geometry.min_size for size in model.input_shape[1:-1]]
    model(np.zeros((1, *sizes, model.input_shape[-1]), np.float32))
    model.export(str(file), format=kind, verbose=False)
    if kind == "onnx":
        _name(file, segmenter)
    more |= {"output": segmenter.gives, "num_outputs": segmenter.engine.num_outputs}
    text = json.dumps(describe(segmenter, **more), indent=2) + "\n"
    file.with_suffix(".json").write_text(text, encoding="utf-8")


def _write_network(segmenter: Segmenter, folder: Path) -> Path:
    """Writes the network file of a run or a preset, see `onnx`."""
    check_exportable(segmenter)
    _check_packages("onnx")
    stored, weights = _stored(folder)
    theirs, ours = stored.model.get_weights(), segmenter.model.get_weights()
    if len(theirs) != len(ours) or not all(map(np.array_equal, theirs, ours)):
        raise UsageError(
            f"{weights} holds other weights than the segmenter",
            "save the segmenter there first, or load it from there",
        )
    config = stored.get_config()
    target = folder / network_file.NAME
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        file = Path(scratch) / target.name
        more = {name: config[name] for name in network_file.OPTIONS if name in config}
        more |= {"memory": _memory(stored), "weights_sha256": sha256(weights)}
        _write(stored, file, "onnx", **more)
        network = importlib.import_module("onnx").load(file)
        store_in_half(network)
        importlib.import_module("onnx").save(network, file)
        described = file.with_suffix(".json")
        text = {**json.loads(described.read_text("utf-8")), "network_sha256": sha256(file)}
        described.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")
        for one in (described, file):
            os.replace(one, folder / one.name)
    return target


def _stored(folder: Path) -> tuple[Segmenter, Path]:
    """The segmenter of a run folder or a preset's, and the file with its weights."""
    from keras_unet.inference.segmenter import Segmenter

    if (folder / presets.CONFIG_NAME).is_file():
        preset = Segmenter.from_preset(folder, engine="keras")
        return preset, folder / presets.WEIGHTS_NAME
    return Segmenter.load(folder, engine="keras"), folder / storage.MODEL_NAME


def _memory(segmenter: Segmenter) -> dict[str, Any] | None:
    """What a tile takes, by which planning does without the Keras model."""
    fixed = [size for size in segmenter.model.input_shape[1:-1] if size is not None]
    tile = fixed or [segmenter.geometry.nearest(TILE)[1]] * segmenter.geometry.rank
    size = segmenter.engine.estimate_memory(tile)
    return None if size is None else {"tile_shape": tile, "bytes": size}


def _check_packages(kind: str) -> None:
    for package in NEEDS[kind]:
        import_extra(package, f"export to {kind}", "'keras-unet-bio[interchange]'")


AXES = ("depth", "height", "width")


def _name(file: Path, segmenter: Segmenter) -> None:
    """Gives the input, the output and the axes of any size names that say what they are."""
    network = importlib.import_module("onnx").load(file)
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
    importlib.import_module("onnx").save(network, file)


def _rename(graph: Any, names: dict[str, str]) -> None:
    """Other names for values, in the bodies of loops and branches, too."""
    for node in graph.node:
        for words in (node.input, node.output):
            words[:] = [names.get(word, word) for word in words]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)
