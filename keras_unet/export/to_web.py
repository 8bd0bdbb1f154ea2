"""A static web page that segments images in the browser: nothing leaves the computer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet.geometry.margins import mirrored_margin

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

PAGE = Path(__file__).resolve().parents[1] / "page"
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

    The network runs as TFLite by LiteRT.js (WebAssembly); normalization, overlap tiles and the way
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
            "mirrored": mirrored_margin(geometry, segmenter.margin),
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


PACKAGES = {
    "core": (
        "2.5.3",
        "3e51a66cc3aaf568ad5fb14ed2385b749c3d1ad85ab6ccae0905e34edff0259a"
        "3414b6b0e3cab8b73f08c2a82a08892f8981abf4e1432f59029cde27cd6a3225",
    ),
    "wasm-utils": (
        "2.5.3",
        "e1f262c3ab4142722cfb48c7fce435ea760e89297cffecd99e7e61dae97c6932"
        "878b4e6c56a656e7cd139a4efca42da44f7f40f4e60155d15ac2d799fec23591",
    ),
}
"""Tested versions of `@litertjs/NAME`, with the SHA-512 of what npm packs."""


def install_runtime(folder: Path, source: str | os.PathLike | None = None) -> None:
    """Writes `litert.js`, `wasm_utils.js` and the folder `wasm`, so that no bundler is needed.

    Args:
        folder: A folder that does not exist yet.
        source: Folder that holds the packages `core` and `wasm-utils`, such as
            `node_modules/@litertjs`. Defaults to None: `npm` fetches them.

    Raises:
        RuntimeError: If `npm` is missing or fails, or sends something else than was tested.
        ValueError: If `source` does not hold the packages.
    """
    with tempfile.TemporaryDirectory() as scratch:
        packages = Path(scratch) if source is None else Path(source)
        if source is None:
            _fetch(packages)
        core, utils = packages / "core", packages / "wasm-utils"
        main, helper = core / "dist" / "index.js", utils / "dist" / "index.js"
        if not (main.is_file() and helper.is_file() and (core / "wasm").is_dir()):
            raise ValueError(
                "runtime must be a folder with the npm packages core and wasm-utils of "
                f"@litertjs, such as node_modules/@litertjs. Received: runtime={packages}"
            )
        shutil.copytree(core / "wasm", folder / "wasm", copy_function=shutil.copyfile)
        code = main.read_text(encoding="utf-8")
        code = code.replace('"@litertjs/wasm-utils"', '"./wasm_utils.js"')
        (folder / "litert.js").write_text(code, encoding="utf-8")
        shutil.copyfile(helper, folder / "wasm_utils.js")


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "npm is needed once to fetch LiteRT.js; install Node.js, or pass runtime=FOLDER with "
            "the packages of @litertjs"
        )
    for name, (version, expected) in PACKAGES.items():
        package = f"@litertjs/{name}@{version}"
        answer = subprocess.run(
            [npm, "pack", "--silent", package], cwd=folder, capture_output=True, text=True
        )
        if answer.returncode != 0:
            raise RuntimeError(f"npm could not fetch {package}: {answer.stderr.strip()}")
        archive = folder / answer.stdout.split()[-1]
        found = hashlib.sha512(archive.read_bytes()).hexdigest()
        if found != expected:
            raise RuntimeError(f"{package} is not the tested one: its SHA-512 is {found}")
        with tarfile.open(archive) as packed:
            packed.extractall(folder / name, filter="data")
        (folder / name / "package").rename(folder / f"{name}.unpacked")
        (folder / name).rmdir()
        (folder / f"{name}.unpacked").rename(folder / name)
