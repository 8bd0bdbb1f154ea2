"""Do damaged and hostile files end in an error that names them, soon and in little memory?

Files of every kind that the package reads are changed at random, from fixed seeds, and read in a
forked child under limits of memory and time. Allowed are a result, or a `ValueError` or `OSError`
whose text names the file; all else is a finding: another error, one that names no file, a crash, a
child that is killed. Graphs (`.tflite`, `.onnx`) and `model.keras` stay as they are, only what lies
beside them is changed.

    python benchmarks/fuzz_readers.py                       # 2,000 files, all kinds: some minutes
    python benchmarks/fuzz_readers.py --cases 200 --quick   # without Keras: seconds
"""

from __future__ import annotations

import argparse
import functools
import io
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

MEMORY = 2 * 2**30
"""Bytes that a child may map on top of what its parent has."""

SECONDS = 20
"""CPU time of a child; a child that sleeps ends after three times that."""

Read = Callable[[Path], Any]


class Kind(NamedTuple):
    """Files of one kind: what is changed, how it is read, and what must lie beside it."""

    data: bytes
    name: str
    read: Read
    beside: Path | None = None


# === Whole files ===


def pixels(*shape: int, dtype: str = "u1") -> np.ndarray:
    """Smooth enough to be compressed."""
    values = np.add.outer(*(np.arange(size) for size in shape[:2])) * 7 % 251
    values = values.reshape(values.shape + (1,) * (len(shape) - 2)) + np.zeros(shape)
    return values.astype(dtype)


def picture(array: np.ndarray, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format_, **options)
    return buffer.getvalue()


def tiff(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def nifti(shape: tuple[int, ...], packed: bool) -> bytes:
    import gzip

    import nibabel

    data = nibabel.Nifti1Image(pixels(*shape, dtype="i2"), np.eye(4)).to_bytes()
    return gzip.compress(data, mtime=0) if packed else data


def image_files() -> dict[str, bytes]:
    grey, rgb, deep = pixels(37, 29), pixels(37, 29, 3), pixels(37, 29, 3, dtype="u2")
    indexed = Image.fromarray(grey)
    indexed.putpalette(list(range(256)) * 3)
    palette = io.BytesIO()
    indexed.save(palette, "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    volume = np.stack([grey] * 3)
    files = {
        "grey.png": picture(grey, "PNG"),
        "deep.png": bytes(imagecodecs.png_encode(deep)),
        "palette.png": palette.getvalue(),
        "exif.png": picture(rgb, "PNG", exif=exif),
        "grey.jpg": picture(grey, "JPEG"),
        "exif.jpg": picture(rgb, "JPEG", exif=exif, progressive=True),
        "lossy.webp": picture(rgb, "WEBP", exif=exif),
        "lossless.webp": picture(rgb, "WEBP", lossless=True),
        "grey.bmp": picture(grey, "BMP"),
        "rgb.bmp": picture(rgb, "BMP"),
        "grey.gif": picture(grey, "GIF"),
        "plain.tif": tiff(grey),
        "lzw.tif": tiff(deep, compression="lzw", predictor=2, photometric="rgb"),
        "deflate.tif": tiff(rgb, compression="zlib", tile=(16, 16), photometric="rgb"),
        "zstd.tif": tiff(grey.astype("f4"), compression="zstd", predictor=3),
        "jpeg.tif": tiff(rgb, compression="jpeg", photometric="rgb"),
        "j2k.tif": tiff(grey, compression="jpeg2000"),
        "big.tif": tiff(grey, bigtiff=True, compression="packbits"),
        "planar.tif": tiff(pixels(3, 37, 29), planarconfig="separate", photometric="rgb"),
        "imagej.tif": tiff(volume, imagej=True, metadata={"axes": "ZYX", "spacing": 2.0}),
        "ome.ome.tif": tiff(volume, ome=True, metadata={"axes": "TYX"}),
    }
    try:
        volumes = {f"a.{n}": nifti((7, 6, 5), n.endswith("gz")) for n in ("nii", "nii.gz")}
    except ImportError:
        return files
    return files | volumes


def kinds_of_images() -> list[Kind]:
    from keras_unet.data import read_image, read_labels, read_spacing
    from keras_unet.files.reading import frames_in

    readers: list[Read] = [
        functools.partial(read_image, rank=None),
        functools.partial(read_labels, rank=None, colors="ids"),
        frames_in,
        read_spacing,
    ]

    def read(path: Path) -> None:
        refusals: list[Exception] = []
        for reader in readers:
            try:
                reader(path)
            except (ValueError, OSError) as error:
                if path.name not in str(error):
                    raise
                refusals.append(error)
        if refusals:
            raise refusals[0]

    return [Kind(data, name, read) for name, data in image_files().items()]


def kinds_of_recipes() -> list[Kind]:
    from keras_unet.training.recipe import Recipe

    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, name) for name in ("recipe.yaml", "recipe.json")]
        for file in names:
            Recipe().save(file)
        return [Kind(file.read_bytes(), file.name, Recipe.from_file) for file in names]


def make_runs(folder: Path) -> None:
    """A run, a preset and exports of a tiny network; called in a process of its own."""
    import keras_unet as ku
    from keras_unet.data import synthetic_cells
    from keras_unet.inference.presets import save_preset

    recipe = ku.Recipe(
        model={"filters": 2, "depth": 1},
        batches={"tile": 32, "size": 1},
        run={"steps": 2, "validate_every": 1, "tensorboard": False, "jit_compile": False},
    )
    samples = synthetic_cells(2, shape=(48, 48), radius=8)
    run = folder / "run"
    segmenter = ku.train(samples[:1], recipe, run, samples[1:], progress=False)
    save_preset(folder / "preset", segmenter.model, segmenter.get_config(), {"about": "fuzz"})
    for ending in ("tflite", "onnx"):
        segmenter.export(folder / ending / f"a.{ending}", format=ending)


def kinds_of_runs(folder: Path) -> list[Kind]:
    """What lies in the folders of `make_runs`."""
    import keras_unet as ku
    from keras_unet.report.run_report import read_log
    from keras_unet.training.checkpoint import latest_checkpoint

    run, preset = folder / "run", folder / "preset"
    step = sorted((run / "checkpoint").glob("step-*.npz"))[-1]
    readers: list[tuple[Path, Read, Path | None]] = [
        (run / "recipe.yaml", ku.Recipe.from_file, None),
        (run / "log.csv", read_log, None),
        (run / "segmenter.json", lambda path: ku.Segmenter.load(path.parent), run),
        (step, lambda path: latest_checkpoint(path.parent), None),
        (preset / "preset.json", lambda path: ku.Segmenter.from_preset(path.parent), preset),
        (preset / "weights.npz", lambda path: ku.Segmenter.from_preset(path.parent), preset),
    ]
    for ending in ("tflite", "onnx"):
        load = functools.partial(_load_export, f"a.{ending}")
        readers.append((folder / ending / "a.json", load, folder / ending))
    return [Kind(file.read_bytes(), file.name, read, beside) for file, read, beside in readers]


def _load_export(name: str, description: Path) -> Any:
    import keras_unet as ku

    return ku.Segmenter.load(description.with_name(name))


# === Damage ===


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """The data with one to four changes; a PNG's checksums are mostly put right again."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, max(1, len(changed))))
        if rng.random() < 0.5:  # headers are the interesting part
            at = int(at % 200)
        length = int(rng.integers(1, 9))
        match rng.integers(0, 7):
            case 0:
                changed[at : at + 1] = bytes([changed[at] ^ 1 << int(rng.integers(8))])
            case 1:
                changed[at : at + length] = rng.bytes(length)
            case 2:
                changed[at : at + 4] = [b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"][at % 3]
            case 3:
                del changed[at:]
            case 4:
                del changed[at : at + length]
            case 5:
                changed[at:at] = changed[at // 2 : at // 2 + 20 * length]
            case _:
                changed[at : at + 1] = b"-9e[{"[at % 5 : at % 5 + 1]
        changed = changed or bytearray(b"\0")
    good_sums = data.startswith(b"\x89PNG") and rng.random() < 0.8
    return with_checksums(bytes(changed)) if good_sums else bytes(changed)


def with_checksums(png: bytes) -> bytes:
    """So that the changes get past the checksums."""
    out, position = png[:8], 8
    while position + 12 <= len(png):
        end = position + 8 + int.from_bytes(png[position : position + 4], "big")
        checksum = zlib.crc32(png[position + 4 : end]).to_bytes(4, "big")
        out += png[position:end] + (checksum if end + 4 <= len(png) else b"")
        position = end + 4
    return out


# === Children ===


def judged(read: Read, path: Path) -> tuple[str, str, int]:
    """Reads in a forked child: "read", "refused" or "finding", what was said, and MiB."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        os.write(sender, pickle.dumps(_verdict(read, path)))
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as file:
        data = file.read()
    _, status, used = os.wait4(child, 0)
    verdict, text = pickle.loads(data) if data else ("finding", f"killed, status {status}")
    return verdict, text, used.ru_maxrss >> 10


def _verdict(read: Read, path: Path) -> tuple[str, str]:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    signal.alarm(3 * SECONDS)
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    try:
        read(path)
    except (ValueError, OSError) as error:
        named = path.name in str(error) or str(path.parent) in str(error)
        return ("refused" if named else "finding"), f"{type(error).__name__}: {error}"[:400]
    except BaseException as error:
        return "finding", f"{type(error).__name__}: {error}"[:400]
    return "read", ""


def fuzz(kinds: list[Kind], cases: int, seed: int, folder: Path) -> int:
    """Reads the mutated files, prints a line for each kind, and returns the number of findings."""
    counts: dict[str, dict[str, float]] = {}
    findings = 0
    for number in range(cases):
        kind = kinds[number % len(kinds)]
        rng = np.random.default_rng([seed, number])
        place = folder / str(number)
        if kind.beside:
            shutil.copytree(kind.beside, place, ignore=shutil.ignore_patterns("checkpoint"))
        place.mkdir(exist_ok=True)
        path = place / kind.name
        path.write_bytes(mutated(kind.data, rng))
        start = time.perf_counter()
        verdict, text, peak = judged(kind.read, path)
        row = counts.setdefault(kind.name, dict.fromkeys(("read", "refused", "finding"), 0))
        row[verdict] += 1
        row["seconds"] = max(row.get("seconds", 0), time.perf_counter() - start)
        row["MiB"] = max(row.get("MiB", 0), peak)
        if verdict == "finding":
            findings += 1
            print(f"finding {number}: {kind.name}: {text.replace(str(folder), '')}", flush=True)
        shutil.rmtree(place)
    print(f"{'kind':16}{'read':>6}{'refused':>9}{'findings':>10}{'slowest s':>11}{'peak MiB':>10}")
    for name, row in counts.items():
        print(
            f"{name:16}{row['read']:6}{row['refused']:9}{row['finding']:10}{row['seconds']:11.2f}"
            f"{row['MiB']:10}"
        )
    print(f"{cases} files, {findings} findings")
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="images and recipes only")
    options = parser.parse_args()
    kinds = kinds_of_images() + kinds_of_recipes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not options.quick:
            maker = os.fork()  # TensorFlow must not run in the parent of the other children
            if maker == 0:
                make_runs(folder / "runs")
                os._exit(0)
            if os.waitpid(maker, 0)[1]:
                raise RuntimeError("the run to be damaged could not be made")
            kinds += kinds_of_runs(folder / "runs")
        return 1 if fuzz(kinds, options.cases, options.seed, folder) else 0


if __name__ == "__main__":
    sys.exit(main())
