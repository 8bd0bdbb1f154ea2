"""Scores a run folder, or the predictions of any program, by the measures that suit the data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.data.data_set import DataSet, SampleSet
from keras_unet.errors import UsageError
from keras_unet.evaluation.predictions import Foreground, Predictions, read_predictions
from keras_unet.evaluation.scores import instance_measures, instance_scores, score, segmented
from keras_unet.files.channels import channel_of_option, option_of_channel
from keras_unet.inference.engines.opening import is_exported
from keras_unet.inference.opened import opened
from keras_unet.inference.segmenter import Segmenter
from keras_unet.inference.storage import KNOWN_FILES

if TYPE_CHECKING:
    from keras_unet.sample import Sample
    from keras_unet.segmentation import Segmentation

OnFound = Callable[["Sequence[Sample]", "Sequence[Segmentation]"], object]

MEASURES = ("auto", "pixels", "instances", "isbi", "tracking")

MEANINGS = {
    "pixel_error": "share of wrong pixels",
    "mean_iou": "intersection over union, mean of the classes",
    "mean_dice": "Dice, mean of the classes",
    "foreground_iou": "everything but background as one class",
    "seg": "mean IoU of the true objects; 0 where none covers over half",
    "ap50": "found / (found + missed + spurious), at an IoU of 0.5",
    "f1": "balance of precision and recall, at an IoU of 0.5",
    "true_count": "true objects",
    "pred_count": "predicted objects",
    "precision": "share of the predicted objects that are right",
    "recall": "share of the true objects that are found",
    "ap": "as ap50, mean over the IoUs 0.50, 0.55, ... 0.95",
    "dsb2018": "Data Science Bowl 2018: as ap, mean of the images",
    "pq": "panoptic quality = sq x rq",
    "sq": "mean IoU of the objects found",
    "rq": "= f1",
    "boundary_iou": "IoU of rims 2 px wide: quality of the outlines",
    "correct": "true objects found as one object of their own",
    "split": "true objects cut into pieces",
    "merged": "predicted objects that swallow several true ones",
    "missed": "true objects that nothing stands for",
    "spurious": "predicted objects where there is none",
    "isbi.pixel_error": "1 - best F-score of cell pixels",
    "isbi.rand_error": "1 - best Rand F-score: pairs of pixels",
    "isbi.warping_error": "pixels in splits and mergers",
    "isbi.v_rand": "Rand F-score after border thinning",
    "isbi.v_info": "information F-score after border thinning",
    "ctc.seg": "SEG of whole objects, as the challenge has it",
    "ctc.det": "detection of the markers in these images",
    "ctc.op_csb": "mean of both",
}
"""What a score says, in a few words."""

MEANINGS |= {
    name.replace("isbi.", "isbi.threshold."): "the best threshold for it"
    for name in MEANINGS
    if name.startswith("isbi.")
}


def evaluate(
    source: str | Path | Segmenter,
    data: DataSet | Iterable[Sample],
    *,
    measures: str = "auto",
    isbi: bool = False,
    border: int = 0,
    predictions: str = "auto",
    threshold: float | None = None,
    membrane: bool = False,
    tta: str | None = None,
    max_tile: int | None = None,
    margin: int | str | None = None,
    precision: str | None = None,
    engine: str = "auto",
    on_found: OnFound | None = None,
) -> dict[str, Any]:
    """Scores a model, or predictions in files, on annotated images.

    Args:
        source: A segmenter, a run folder or an exported file; or predictions of any program: a
            folder, or a stack in one file.
        data: The annotated images: samples, or a `DataSet` on disk, whose layout chooses measures.
        measures: `"pixels"`: accuracy, IoU and Dice. The others add to these: `"instances"`: all
            measures of `instance_measures`; `"isbi"`: the five of the ISBI 2012 challenge with
            their thresholds, and `instance_scores`; `"tracking"`: those of `"instances"`, and SEG,
            DET and OP_CSB as the Cell Tracking Challenge computes them. Defaults to `"auto"`: by
            the layout of the data, else `"instances"` where samples have instances.
        isbi: Whether to add the ISBI 2012 measures in any case. Defaults to False.
        border: Width in pixels of the band outside the Cell Tracking Challenge's field of
            interest: its SEG and DET leave out objects wholly inside. Defaults to 0.
        predictions: What the predictions are, `kind` of `read_predictions`. Defaults to `"auto"`.
        threshold: Of predicted probabilities. Defaults to None, 0.5.
        membrane: Whether predictions show the background. Defaults to False.
        tta: Test-time augmentation instead of the run's. Defaults to None.
        max_tile: Largest tile in pixels instead of the run's. Defaults to None.
        margin: Mirrored pixels around an image instead of the run's, or `"full"`; see `Segmenter`.
            Defaults to None.
        precision: "float32", "bfloat16" or "auto", see `Segmenter`. Defaults to None, "float32".
        engine: What runs the network of a folder or file, see `Segmenter.load`. Defaults to "auto".
        on_found: Called with the samples and with what was found in them, such as
            `report.write_error_pictures` with a folder. Defaults to None.

    Returns:
        Scores by name, nested ones as `iou.background`, NaN as None; `"scored"` says what was
        scored, `"notes"` lists what else to know, and `"samples"` holds a dictionary a sample.

    Raises:
        FileNotFoundError: If the source does not exist.
        ValueError: If an option, a measure or a prediction does not fit; the message names it.
    """
    given = data if isinstance(data, DataSet) else SampleSet(list(data))
    choices = {"tta": tta, "max_tile": max_tile, "margin": margin, "precision": precision}
    note = segmenter = None
    if isinstance(source, Segmenter) or _is_run(Path(source)):
        _refuse(source, predictions=predictions, threshold=threshold, membrane=membrane)
        segmenter = opened(source, engine, **choices)
        given, note = _read_for(segmenter, given)
    samples, chosen = given.samples, _choose(measures, given)
    isbi = isbi or chosen == "isbi"
    if isbi:
        _check_slices(samples)
    if border and chosen != "tracking":
        raise UsageError(
            f"a border of {border} px belongs to the measures of tracking, not of {chosen}",
            "give measures='tracking', or leave border away",
            "say --measures tracking, or leave --border away",
        )
    if segmenter is not None:
        results = _predict(segmenter, samples)
    elif not isinstance(source, Segmenter):
        _refuse(source, **choices, engine=engine)
        results = read_predictions(
            source,
            samples,
            kind=predictions,
            threshold=threshold,
            membrane=membrane,
            grey_is_probability=given.layout == "isbi2012",
            places=given.places,
            partial=given.is_part,
        )
    scores = _score(results, given, chosen, isbi=isbi, border=border)
    scores["notes"] = [*([note] if note else []), *scores["notes"]]
    if on_found is not None:
        on_found(samples, results.found)
    return scores


def _is_run(source: Path) -> bool:
    in_folder = source.is_dir() and any((source / name).exists() for name in KNOWN_FILES)
    return in_folder or is_exported(source)


def _choose(measures: str, data: DataSet | SampleSet) -> str:
    if measures not in MEASURES:
        raise ValueError(f"measures must be one of {MEASURES}. Received: measures={measures!r}")
    with_instances = [sample.instances is not None for sample in data.samples]
    if measures == "auto":
        of_layout = {"isbi2012": "isbi", "cell-tracking": "tracking"}
        return of_layout.get(data.layout, "instances" if any(with_instances) else "pixels")
    if measures in ("instances", "tracking") and not all(with_instances):
        lacking = data.samples[with_instances.index(False)].name
        raise UsageError(
            f"sample {lacking!r} has no instances to score",
            "give measures='pixels', or samples with instances",
            "say --measures pixels, or --kind instances if its mask holds ids",
        )
    return measures


def _check_slices(samples: Sequence[Sample]) -> None:
    """What the ISBI 2012 measures take."""
    shapes = {sample.shape for sample in samples}
    if len(shapes) > 1 or samples[0].rank != 2:
        raise ValueError(
            f"the ISBI 2012 measures need slices of one shape. Received: {sorted(shapes)}"
        )
    for sample in samples:
        if sample.annotated is not None:
            raise ValueError(
                "the ISBI 2012 measures need slices that are annotated everywhere. "
                f"Received: sample {sample.name!r}"
            )


def _refuse(source: str | Path | Segmenter, **options: Any) -> None:
    """An option that would be without effect is an error."""
    nothing = ("None", "False", "auto")  # a margin of 0 is something
    given = [name for name, value in options.items() if str(value) not in nothing]
    if given:
        kind = "a run folder, whose model predicts" if "threshold" in options else "no run folder"
        typed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"{source} is {kind}",
            f"{', '.join(given)} cannot be used with it",
            f"{typed} cannot be used with it",
        )


def _read_for(
    segmenter: Segmenter, data: DataSet | SampleSet
) -> tuple[DataSet | SampleSet, str | None]:
    """A folder, read as the run's own images and classes were, and what there is to say of it."""
    if not isinstance(data, DataSet) or data.layout != "folder":
        return data, None
    options = segmenter.reading_for(channel_of_option(data.channel), data.channels)
    options["channel"] = option_of_channel(options["channel"])
    changes: dict[str, Any] = {**options, "rank": data.rank or options["rank"]}
    note, target = None, segmenter.target
    count = target.num_classes
    if data.num_classes not in (None, count):
        raise UsageError(
            f"the run has {count} classes, not {data.num_classes}",
            "leave num_classes away",
            "leave --num-classes away",
        )
    of_classes = data.kind in (None, "auto") and not target.needs_instances
    if of_classes and count > 2:
        changes["kind"] = "classes"
        note = f"The run has {count} classes: masks are read as classes."
    if changes.get("kind", data.kind) == "classes" or data.class_values is not None:
        changes["num_classes"] = count
    return dataclasses.replace(data, **changes), note


def _predict(segmenter: Segmenter, samples: Sequence[Sample]) -> Predictions:
    found = [result for _, result in segmented(segmenter.predict, samples)]
    what = "a model of keras_unet"
    return Predictions(found, segmenter.class_names, what, segmenter.target.foreground)


def _score(
    results: Predictions, data: DataSet | SampleSet, measures: str, *, isbi: bool, border: int
) -> dict[str, Any]:
    samples, found = data.samples, results.found
    if measures == "pixels":
        samples = [sample.replace(classes=sample.class_map(), instances=None) for sample in samples]
    complete = measures in ("instances", "tracking")
    scores = score(
        zip(samples, found, strict=True),
        results.class_names,
        instance_measures if complete else instance_scores,
    )
    rows, notes = scores.pop("samples"), []
    del scores["confusion_matrix"]
    if isbi:
        of_all, of_slices = _isbi_measures(data.samples, found, results.foreground)
        scores |= of_all
        rows = [row | more for row, more in zip(rows, of_slices, strict=True)]
    if measures == "tracking":
        of_all, note = _tracking_measures(data, found, border)
        scores |= of_all
        notes.append(note)
    if any(sample.annotated is not None for sample in samples):
        notes.append("Pixels that are not annotated are left out, of predicted objects too.")
    scored = {"scored": results.kind, "notes": notes}
    return {**scored, **_flat(scores), "samples": [_flat(row) for row in rows]}


def _isbi_measures(
    samples: Sequence[Sample], found: Sequence[Segmentation], foreground: Foreground
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """The ISBI 2012 challenge's numbers of all slices together, and of each at those thresholds."""
    from keras_unet.metrics import isbi

    labels = np.stack([sample.class_map() > 0 for sample in samples])
    evaluation = isbi.evaluate(labels, np.stack([foreground(one.probabilities) for one in found]))
    values = evaluation.headline()
    thresholds = {f"threshold.{name}": evaluation.best_threshold[name] for name in values}
    rows = [{name: row[name] for name in values} for row in evaluation.slice_table()]
    return _prefixed("isbi", values | thresholds), [_prefixed("isbi", row) for row in rows]


def _tracking_measures(
    data: DataSet | SampleSet, found: Sequence[Segmentation], border: int
) -> tuple[dict[str, float], str]:
    """SEG, DET and OP_CSB of whole objects, and on which markers DET rests."""
    from keras_unet.metrics.compared import det_of, overlaps, seg_of
    from keras_unet.metrics.instances import field_of_interest, op_csb

    def inner(maps: Iterable[np.ndarray]) -> list[np.ndarray]:
        return [field_of_interest(one, border) for one in maps]

    trues = inner(s.instances for s in data.samples if s.instances is not None)
    preds = inner(one.instances for one in found)
    markers, note = data.markers(), "DET rests on the tracking markers of these images alone."
    if markers is None and all(sample.annotated is None for sample in data.samples):
        markers, note = trues, "No tracking markers: DET rests on the annotated objects."
    tables = list(overlaps(trues, preds)) if any(map(np.any, trues)) else None
    seg = math.nan if tables is None else seg_of(tables)
    given = trues if markers is trues else inner(markers or [])
    if not any(map(np.any, given)):
        return _prefixed("ctc", {"seg": seg}), "No tracking markers: neither DET nor OP_CSB."
    det = det_of(tables if tables and given is trues else overlaps(given, preds))
    overall = math.nan if math.isnan(seg) else op_csb(seg, det)
    return _prefixed("ctc", {"seg": seg, "det": det, "op_csb": overall}), note


def _prefixed(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": entry for key, entry in _flat(value).items()}
        else:
            missing = isinstance(value, float) and math.isnan(value)
            flat[name] = None if missing else value
    return flat
