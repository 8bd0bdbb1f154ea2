"""Trains the preset "nuclei" on dsb2018 (CC0) and synthetic cells, scores it, and packs it.

    python examples/train_nuclei.py DATA/dsb2018 --pack keras_unet/presets/nuclei

One network for fluorescence and stained tissue: foreground and depth in the nucleus, watershed
from seeds. Of every group of images of one size and mode, sorted by name, every fifth image is held
out for the scores and every tenth for the choice of the two thresholds; the stained images of the
rest are taken twice, because they are few. The baseline is Otsu's threshold with a watershed on
the distance transform.

Expected: AP of about 0.73 at an intersection over union of 0.5 (see the preset's card).
Cost: 1,800 steps of 4 tiles of 224 x 224, about 25 minutes on two CPU cores.

An interrupted training goes on where it stopped, in the folder `--out`.
"""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from experiments import circumstances, options, parse, quick_samples, table, write
from scipy import ndimage

import keras_unet as ku
from keras_unet.inference.presets import save_preset
from keras_unet.metrics import instances as measures
from keras_unet.objects.instance_maps import remove_small
from keras_unet.objects.labelling import connected_components
from keras_unet.objects.watershed import watershed_from_seeds

Samples = list[ku.Sample]
CHOSEN = ("threshold", "seed_threshold", "min_seed_size")
"""Options of the decoder that are chosen on the validation images."""


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Trains, chooses the thresholds, scores the held-out images; returns the table's rows."""
    parser = options(__doc__, "dsb2018 (images, masks, index.csv)", "runs/nuclei", "nuclei.yaml")
    parser.add_argument("--pack", type=Path, help="folder for the preset; default: none")
    parser.add_argument("--tta", default="d4", help="flips, d4 or paper7; default: d4")
    given = parse(parser, arguments)
    training, validation, held_out = quick_parts() if given.quick else read_parts(given.data)
    segmenter = ku.train(training, given.recipe, given.out, validation=validation)
    segmenter = segmenter.replace(tta=given.tta)
    segmenter = choose_thresholds(segmenter, validation)
    found = [segmenter.predict(sample.image).instances for sample in held_out]
    rows = {
        "held-out images": scores(held_out, found),
        "Otsu and watershed": scores(held_out, [otsu_watershed(s.image) for s in held_out]),
    }
    for mode, chosen in {"of these: fluorescence": False, "of these: stained": True}.items():
        which = [i for i, sample in enumerate(held_out) if is_coloured(sample.image) == chosen]
        if which:
            rows[mode] = scores([held_out[i] for i in which], [found[i] for i in which])
    thresholds = {name: getattr(segmenter.target, name) for name in CHOSEN}
    counts = f"{len(training)} training, {len(validation)} validation, {len(held_out)} held out"
    text = f"{table(rows)}\n\n{counts}; tta {given.tta}, {thresholds}. {circumstances()}\n"
    write(given.out / "results.md", text)
    print(text)
    if given.pack:
        card = {"description": "Nuclei in fluorescence and stained tissue", "scores": rows}
        save_preset(given.pack, segmenter.model, segmenter.get_config(), card)
        packed = ku.Segmenter.from_preset(given.pack, engine="keras")
        packed.export(given.pack, "onnx", in_place=True)  # what runs without TensorFlow
    return rows


def read_parts(folder: Path) -> tuple[Samples, Samples, Samples]:
    """Training, validation and held-out samples; see above."""
    masks = folder / "masks"
    read = ku.data.read_folder(folder / "images", masks, kind="instances", channels=3)
    samples = {sample.name: sample for sample in read}
    groups = defaultdict(list)
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            groups[row["height"], row["width"], row["mode"]].append(Path(row["file"]).stem)
    parts: tuple[Samples, Samples, Samples] = ([], [], [])
    for group in groups.values():
        for index, name in enumerate(sorted(group)):
            part = 2 if index % 5 == 2 else 1 if index % 10 == 4 else 0
            parts[part].append(samples[name])
    stained = [sample for sample in parts[0] if is_coloured(sample.image)]
    synthetic = ku.data.synthetic_cells(12, shape=(256, 320), seed=1)
    parts[0].extend([*stained, *map(as_rgb, synthetic)])
    return parts


def quick_parts() -> tuple[Samples, Samples, Samples]:
    """Synthetic images in the place of the data."""
    samples = [as_rgb(sample) for sample in quick_samples(6)]
    return samples[:2], samples[2:4], samples[4:]


def as_rgb(sample: ku.Sample) -> ku.Sample:
    """A grey sample in three channels."""
    return sample.replace(image=np.repeat(sample.image, 3, axis=-1))


def is_coloured(image: np.ndarray) -> bool:
    """Whether the channels differ anywhere."""
    return bool(np.ptp(image, axis=-1).max() > 0)


def scores(samples: Samples, found: list[np.ndarray]) -> dict[str, float]:
    """Instance measures of predictions."""
    trues = [sample.instances for sample in samples]
    row: dict[str, Any] = {"images": len(samples)}
    for name, threshold in {"AP@0.5": 0.5, "AP@0.75": 0.75}.items():
        row[name] = float(measures.average_precision(trues, found, threshold))
    row["DSB"] = float(measures.dsb2018_score(trues, found))
    row["PQ"] = float(measures.panoptic_quality(trues, found))
    row["SEG"] = float(measures.seg_measure(trues, found))
    return row


def choose_thresholds(segmenter: ku.Segmenter, validation: Samples) -> ku.Segmenter:
    """With the decoder's options that give the validation images the best DSB score."""
    trues = [sample.instances for sample in validation]
    maps = [segmenter.predict(sample.image).probabilities for sample in validation]
    target, tried = segmenter.target, {}
    for values in itertools.product((0.4, 0.5, 0.6), (0.4, 0.5, 0.6), (0, 5, 10)):
        chosen = dict(zip(CHOSEN, values, strict=True))
        decoder = target.from_config({**target.get_config(), **chosen})
        found = [decoder.decode(one).instances for one in maps]
        tried[values] = (measures.dsb2018_score(trues, found), decoder)
        print(f"{chosen}: DSB {tried[values][0]:.4f}")
    return segmenter.replace(target=max(tried.values(), key=lambda entry: entry[0])[1])


def otsu_watershed(image: np.ndarray, radius: int = 5) -> np.ndarray:
    """Otsu's threshold of the grey image; seeds are the maxima of the distance within `radius`."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1)
    if grey.mean() > 127:  # dark nuclei on a bright field
        grey = 255 - grey
    _, cells = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    depth = cv2.GaussianBlur(cv2.distanceTransform(cells, cv2.DIST_L2, 5), (0, 0), 1)
    peaks = (ndimage.maximum_filter(depth, 2 * radius + 1) == depth) & (cells > 0)
    seeds = connected_components(peaks)
    return remove_small(watershed_from_seeds(-depth, seeds, cells > 0), 12)


if __name__ == "__main__":
    main()
