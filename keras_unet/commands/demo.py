"""The command `keras-unet demo`: trains on synthetic cells and writes a report."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from keras_unet.commands.documented import documented
from keras_unet.commands.printing import console, print_values
from keras_unet.training.recipe import Recipe

UNSEEN = 10_000
"""Added to the seed for images that the training never sees."""


@documented
def demo(out: Path = Path("demo"), steps: int = 0, seed: int = 0) -> None:
    """Train on synthetic cells for about a minute, segment unseen images, write a report.

    Args:
        out: Folder for the run and its report.
        steps: Training steps.
        seed: Seed of the cells and of the training.
    """
    result = run_demo(out, steps=steps or None, seed=seed)
    print_values("Unseen synthetic images", result.scores)
    console.print(f"Report: [bold]{result.report}[/]  (model: {out / 'run'})")


class Demo(NamedTuple):
    """What the demo gives.

    Attributes:
        scores: Scores on unseen images.
        report: Path of the HTML report.
    """

    scores: dict[str, float]
    report: Path


def demo_recipe(steps: int | None = None, seed: int = 0) -> Recipe:
    """A narrow U-Net that learns touching cells in about a minute on two cores.

    Valid convolutions, border weights and elastic deformation as in the paper; width 16 and depth 3
    for speed.
    """
    return Recipe(
        model={"filters": 16, "depth": 3, "padding": "valid", "normalization": None},
        target={"weights": "paper"},
        augmentation={"sigma": 4.0},
        batches={"tile": 204, "size": 4},
        optimizer={"learning_rate": 2e-3, "ema": 0.98},
        run={"steps": steps or 400, "validate_every": 50, "seed": seed, "tensorboard": False},
    )


def run_demo(out: str | Path, steps: int | None = None, seed: int = 0) -> Demo:
    """Trains, evaluates on unseen images, segments one larger than the tile, writes the report.

    Args:
        out: Folder; the run goes to `out/run`, the report to `out/run/report.html`.
        steps: Training steps. Defaults to None, those of `demo_recipe`.
        seed: Seed of the cells and of the training. Defaults to 0.

    Returns:
        Scores and the report's path.
    """
    from keras_unet.data.synthetic import synthetic_cells
    from keras_unet.report.run_report import write_run_report
    from keras_unet.training.trainer import train

    run = Path(out) / "run"
    samples = synthetic_cells(12, shape=(256, 256), seed=seed)
    validation = synthetic_cells(2, shape=(256, 256), seed=seed + 2 * UNSEEN)
    unseen = synthetic_cells(6, shape=(256, 256), seed=seed + UNSEEN)
    (large,) = synthetic_cells(1, shape=(600, 900), seed=seed + 3 * UNSEEN)
    segmenter = train(
        samples, recipe=demo_recipe(steps, seed), out=run, validation=validation, resume=False
    )
    # small tiles, so that the large image takes several of them
    segmenter = segmenter.replace(max_tile=412)
    scores = segmenter.evaluate([*unseen, large])
    shown = {
        "mean IoU": scores["mean_iou"],
        "foreground IoU": scores["foreground_iou"],
        "pixel error": scores["pixel_error"],
        "instance SEG": scores["seg"],
        "instances F1": scores["f1"],
        "instances": f"{scores['pred_count']} found, {scores['true_count']} true",
    }
    report = write_run_report(
        run,
        segmenter,
        [*unseen[:3], large.replace(name="larger than the tile")],
        scores=shown,
        title="keras_unet demo: touching synthetic cells",
        note="Trained on 12 synthetic images; all images below were never seen in training.",
    )
    return Demo(shown, report)
