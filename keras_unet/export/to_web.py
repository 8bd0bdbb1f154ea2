"""A static web page that segments images in the browser: nothing leaves the computer."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet.export.web_runtime import install_runtime

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

PAGE = Path(__file__).resolve().parents[1] / "serving" / "page"
"""The page; the server shows the same one."""
MODEL_NAME = "model.tflite"
SERVER_ONLY = ("server_engine.js",)


def web(
    segmenter: Segmenter,
    path: str | os.PathLike,
    *,
    tile: int | Sequence[int] = 256,
    quantization: str | None = "float16",
    samples: Any = None,
    runtime: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a folder that any web server can offer; its `index.html` segments in the browser.

    The network runs as TFLite by LiteRT.js (WebAssembly); normalisation, overlap tiles and the way
    from probabilities to objects are those of `Segmenter.predict`, in JavaScript. Images are
    what browsers show: 8 bits, PNG, JPEG, WebP, GIF or BMP. Test-time augmentation is left out.

    Args:
        segmenter: The trained segmenter: 2-D, one or three channels, resolution 1.
        path: A folder that does not exist yet.
        tile: Side of the network's input in pixels, one number or two; LiteRT.js takes no other
            sizes. Defaults to 256.
        quantization: As for `export.tflite`: None, `"float16"`, `"dynamic"` or `"int8"`. Defaults
            to `"float16"`, which halves the download.
        samples: Samples that calibrate `"int8"`. Defaults to None.
        runtime: Folder with the npm packages `@litertjs/core` and `@litertjs/wasm-utils`, such as
            `node_modules/@litertjs`. Defaults to None: `npm` fetches the tested versions.
        overwrite: Whether to replace an existing folder. Defaults to False.

    Returns:
        The folder.

    Raises:
        ValueError: If the segmenter has something that the page cannot do, or the tile is not
            legal.
        FileExistsError: If the folder exists.
        RuntimeError: If the runtime cannot be fetched.

    Example:
        >>> keras_unet.export.web(keras_unet.Segmenter.load("runs/cells"), "site")
        PosixPath('site')
    """
    from keras_unet.export.to_tflite import tflite

    _check(segmenter)
    tile_shape = (tile, tile) if isinstance(tile, int) else tuple(tile)
    site = Path(path)
    if site.exists() and not overwrite:
        raise FileExistsError(f"{site} exists; pass overwrite=True or another path")
    site.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{site.name}-", dir=site.parent))
    try:
        for file in PAGE.iterdir():
            if file.is_file() and file.name not in SERVER_ONLY:
                shutil.copy(file, unfinished / file.name)
        install_runtime(unfinished / "litert", runtime)
        tflite(
            segmenter,
            unfinished / MODEL_NAME,
            tile=tile_shape,
            quantization=quantization,
            samples=samples,
        )
        config = json.dumps(page_config(segmenter, tile_shape), indent=2) + "\n"
        (unfinished / "config.json").write_text(config, encoding="utf-8")
        unfinished.chmod(0o755)
        if site.exists():
            shutil.rmtree(site)
        unfinished.rename(site)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return site


def page_config(segmenter: Segmenter, tile: Sequence[int]) -> dict[str, Any]:
    """What the page must know of the segmenter, as plain values."""
    geometry = segmenter.geometry
    return {
        "engine": "browser",
        "model": MODEL_NAME,
        "title": f"{segmenter.model.name}: {', '.join(segmenter.class_names)}",
        "channels": segmenter.channels,
        "tile": [int(size) for size in tile],
        "geometry": {
            "margin": geometry.margin,
            "stride": geometry.stride,
            "padding": geometry.padding,
        },
        "normalization": segmenter.normalization.get_config(),
        "target": {"name": segmenter.target.name, "config": segmenter.target.get_config()},
        "class_names": segmenter.class_names,
    }


def _check(segmenter: Segmenter) -> None:
    if segmenter.geometry.rank != 2 or segmenter.channels not in (1, 3):
        raise ValueError(
            "the page shows flat images, grey or RGB. Received: a segmenter with "
            f"{segmenter.geometry.rank} axes and channels={segmenter.channels}"
        )
    if segmenter.resolution not in (1, [1, 1]):
        raise ValueError(
            "the page cannot resize images; train at resolution=1, or export a SavedModel. "
            f"Received: segmenter.resolution={segmenter.resolution}"
        )
    config = segmenter.target.get_config()
    if segmenter.target.name not in ("classes", "seeds") or config.get("close_gaps"):
        raise ValueError(
            "the page knows the targets 'classes' (without close_gaps) and 'seeds'. "
            f"Received: target {segmenter.target.name!r} with {config}"
        )
