"""The command `keras-unet export`: a trained model for servers, phones, browsers, other engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

FORMATS = ("saved_model", "tflite", "onnx", "openvino", "web")
OWN = {
    "saved_model": ("version", "max_tile", "probability_png"),
    "tflite": ("tile", "quantization", "samples", "io", "output"),
    "onnx": (),
    "openvino": (),
    "web": ("tile", "quantization", "samples", "runtime"),
}
"""Options of each format beyond `--out` and `--overwrite`."""


def export(
    run: Annotated[Path | None, typer.Argument(help="Run folder (not with --preset).")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="saved_model: folder of all versions, named as the model. web: new folder. "
            "Others: file (.tflite, .onnx, .xml)."
        ),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="saved_model, tflite, onnx, openvino or web.")
    ] = "saved_model",
    preset: Annotated[
        str | None, typer.Option(help="A trained model of the package in place of RUN: nuclei.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    version: Annotated[
        int | None, typer.Option(help="Version (saved_model); else the next one.")
    ] = None,
    max_tile: Annotated[
        int | None, typer.Option(help="Largest tile in pixels (saved_model).")
    ] = None,
    probability_png: Annotated[
        bool, typer.Option("--probability-png", help="Also answer probabilities (saved_model).")
    ] = False,
    tile: Annotated[
        int | None,
        typer.Option(help="Side of the input in pixels (tflite, web); else any, or 256."),
    ] = None,
    quantization: Annotated[
        str | None, typer.Option(help="none, float16, dynamic or int8 (tflite, web).")
    ] = None,
    samples: Annotated[
        list[Path] | None,
        typer.Option(help="Images, or folders of them, that calibrate int8 (tflite, web)."),
    ] = None,
    io: Annotated[str | None, typer.Option(help="float32 or uint8, for int8 (tflite).")] = None,
    output: Annotated[str | None, typer.Option(help="probabilities or classes (tflite).")] = None,
    runtime: Annotated[
        Path | None, typer.Option(help="Folder node_modules/@litertjs (web); else npm fetches it.")
    ] = None,
) -> None:
    """Export a trained model: SavedModel, TFLite, ONNX, OpenVINO, or a page for browsers."""
    options = {
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
    given = {name: value for name, value in options.items() if value is not None}
    path = run_export(run, preset, out, format, overwrite, given)
    typer.echo(f"Exported: {path}")


def run_export(
    run: Path | None,
    preset: str | None,
    out: Path | None,
    format: str,
    overwrite: bool,
    options: dict[str, Any],
) -> Path:
    """Loads the segmenter and writes it.

    Args:
        run: Run folder, or None for `preset`.
        preset: Name of a preset, or None.
        out: Where to write.
        format: One of `FORMATS`.
        overwrite: Whether existing files are replaced.
        options: What the user gave, by the names of `OWN`.

    Returns:
        What was written.

    Raises:
        ValueError: If the options do not fit together, or a package is missing.
    """
    if format not in FORMATS:
        raise ValueError(f"--format must be one of {', '.join(FORMATS)}. Received: {format}")
    if (run is None) == (preset is None):
        raise ValueError(f"give a run folder or --preset. Received: RUN={run}, --preset {preset}")
    if out is None:
        raise ValueError("--out is needed: where to write")
    strange = sorted(set(options) - set(OWN[format]))
    if strange:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
        raise ValueError(f"--format {format} has no {names}")
    from keras_unet.inference.segmenter import Segmenter

    segmenter = Segmenter.from_preset(preset) if preset else Segmenter.load(str(run))
    if options.get("quantization") == "none":
        options["quantization"] = None
    if "samples" in options:
        options["samples"] = _images(options["samples"], segmenter)
    try:
        return _exporter(format)(segmenter, out, overwrite=overwrite, **options)
    except (ImportError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _exporter(format: str) -> Callable[..., Path]:
    from keras_unet import export as formats

    return getattr(formats, format)


def _images(paths: list[Path], segmenter: Any) -> list[Any]:
    from keras_unet.data import read_image
    from keras_unet.report.results import find_images

    channels = segmenter.channels if segmenter.channels in (1, 3) else None
    return [
        read_image(path, rank=segmenter.geometry.rank, channels=channels)
        for path in find_images(paths)
    ]
