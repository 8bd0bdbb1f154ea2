"""What the example scripts share: options, results that survive an interruption, tables."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import keras_unet as ku
from keras_unet.files.atomic import write_atomically
from keras_unet.metrics import isbi

PAPER = {
    "pixel_error": 0.0611,
    "rand_error": 0.0382,
    "warping_error": 0.000353,
    "v_rand": 0.9728,
    "v_info": 0.9866,
}
"""Secret test set: the first three from the paper, the others as later published for its entry."""
MEASURES = tuple(PAPER)
RECIPES = Path(__file__).resolve().parent / "recipes"


def options(description: str | None, data: str, out: str, recipe: str) -> argparse.ArgumentParser:
    """The options that every script has; scripts add their own."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help=f"folder of {data}")
    parser.add_argument("--out", type=Path, default=Path(out), help=f"default: {out}")
    parser.add_argument("--recipe", type=Path, default=RECIPES / recipe, help="YAML file")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="such as run.steps=500"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="synthetic images and a few steps: shows that the script runs, no result",
    )
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options given, with `recipe` read; data are needed unless `--quick`."""
    given = parser.parse_args(arguments)
    if given.data is None and not given.quick:
        parser.error("the folder of the data is needed (or --quick)")
    given.recipe = ku.Recipe.from_file(given.recipe).override(given.set)
    if given.quick:
        given.recipe = given.recipe.replace(
            model={"filters": 2},
            batches={"tile": 32, "size": 2},
            optimizer={"warmup": 0},
            run={"steps": 4, "validate_every": 2, "precision": "float32"},
        )
    return given


def quick_samples(count: int) -> list[ku.Sample]:
    """Small images for `--quick`."""
    return ku.data.synthetic_cells(count, shape=(48, 64), radius=8)


def kept(file: Path, make: Callable[[], Any]) -> Any:
    """What an earlier call has left in a JSON file, or else makes and writes it."""
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    value = make()
    write(file, json.dumps(value, indent=2) + "\n")
    return value


def write(file: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    write_atomically(file, text.encode())


def stack_of(samples: Sequence[ku.Sample]) -> np.ndarray:
    """Labels of slices, `(Z, H, W)`, True in cells."""
    return np.stack([sample.class_map() > 0 for sample in samples])


def isbi_scores(labels: np.ndarray, proposals: np.ndarray) -> dict[str, float]:
    """The challenge's five numbers."""
    return {
        name: float(value) for name, value in isbi.evaluate(labels, proposals).headline().items()
    }


def floor_scores(samples: Sequence[ku.Sample]) -> dict[str, float]:
    """The five numbers of the raw image, blurred with 2 px and rounded to 8 bits."""
    from scipy.ndimage import gaussian_filter

    blurred = [gaussian_filter(s.image[..., 0].astype(float), 2) for s in samples]
    return isbi_scores(stack_of(samples), np.round(blurred).astype(np.float32) / np.float32(255))


def table(rows: Mapping[str, Mapping[str, float]], columns: Sequence[str] | None = None) -> str:
    """Rows of numbers as a Markdown table."""
    columns = columns or list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | {' | '.join(_text(row.get(c)) for c in columns)} |")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}" if 0 < abs(value) < 0.01 else f"{value:.4f}"
    return "" if value is None else str(value)


def circumstances() -> str:
    """Versions, machine and date, as a line below a table."""
    import keras

    backend = keras.config.backend()
    devices = keras.distribution.list_devices()
    machine = f"{platform.machine()}, {', '.join(devices)}"
    return f"Keras {keras.__version__} on {backend}, {machine}, {date.today().isoformat()}."
