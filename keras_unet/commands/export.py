"""The command `keras-unet export`: a trained model for servers, phones, browsers, other engines."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_unet.commands.documented import documented
from keras_unet.export.formats import FORMATS


@documented
def export(
    run: Annotated[Path | None, typer.Argument()] = None,
    out: Path | None = None,
    format: str = "saved_model",
    preset: str | None = None,
    overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
    in_place: Annotated[bool, typer.Option("--in-place")] = False,
    version: int | None = None,
    max_tile: int | None = None,
    probability_png: Annotated[bool, typer.Option("--probability-png")] = False,
    tile: int | None = None,
    quantization: str | None = None,
    samples: list[Path] | None = None,
    io: str | None = None,
    output: str | None = None,
    runtime: Path | None = None,
) -> None:
    """Export a trained model: SavedModel, TFLite, ONNX, OpenVINO, or a page for browsers.

    Args:
        run: Run folder (not with --preset).
        out: saved_model: folder of all versions, named as the model. web: new folder. Others: file
            (.tflite, .onnx, .xml).
        format: saved_model, tflite, onnx, openvino or web.
        preset: A trained model of the package in place of RUN: nuclei.
        overwrite: Replace what is there.
        in_place: Write network.onnx into RUN, with which predict needs no TensorFlow (onnx).
        version: Version (saved_model); else the next one.
        max_tile: Largest tile in pixels (saved_model).
        probability_png: Also answer probabilities (saved_model).
        tile: Side of the input in pixels (tflite, web); else any, or 256.
        quantization: none, float16, dynamic or int8 (tflite, web).
        samples: Images, or folders of them, that calibrate int8 (tflite, web).
        io: float32 or uint8, for int8 (tflite).
        output: probabilities or classes (tflite).
        runtime: Folder node_modules/@litertjs (web); else npm fetches it.
    """
    if format not in FORMATS:
        raise ValueError(f"--format must be one of {', '.join(FORMATS)}. Received: {format}")
    if (run is None) == (preset is None):
        raise ValueError(f"give a run folder or --preset. Received: RUN={run}, --preset {preset}")
    if (out is None) != in_place or (in_place and format != "onnx"):
        needed = "--in-place goes with --format onnx and without --out"
        raise ValueError(needed if in_place else "--out is needed: where to write")
    from keras_unet import export as formats
    from keras_unet.inference.presets import read_preset
    from keras_unet.inference.segmenter import Segmenter

    write = getattr(formats, format)
    options = {
        "in_place": in_place or None,
        "version": version,
        "max_tile": max_tile,
        "probability_png": probability_png or None,
        "tile": tile,
        "quantization": quantization,
        "samples": samples or None,
        "io": io,
        "output": output,
        "runtime": runtime,
    }
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    strange = sorted(given.keys() - inspect.signature(write).parameters)
    if strange:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise ValueError(f"--format {format} has no {names}")
    if preset:
        segmenter = Segmenter.from_preset(preset, "keras")
    else:
        segmenter = Segmenter.load(str(run), "keras")
    if in_place:
        out = read_preset(preset).folder if preset else run
    if quantization == "none":
        given["quantization"] = None
    if samples:
        given["samples"] = _images(samples, segmenter)
    try:
        path = write(segmenter, out, overwrite=overwrite, **given)
    except (ImportError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    typer.echo(f"Exported: {path}")


def _images(paths: list[Path], segmenter: Any) -> list[Any]:
    from keras_unet.data import read_image
    from keras_unet.report.results import find_images

    channels = segmenter.channels if segmenter.channels in (1, 3) else None
    return [
        read_image(path, rank=segmenter.geometry.rank, channels=channels)
        for path in find_images(paths)
    ]
