"""The Segmenter: a model with everything that it needs to segment an image."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.data import resolution as grids
from keras_unet.geometry.base import Geometry
from keras_unet.geometry.tiles import TilePlan, plan_fixed, plan_tiles
from keras_unet.geometry.window import geometry_from_config
from keras_unet.inference import presets, storage
from keras_unet.inference.memory import DEFAULT_LIMIT, estimate_memory, plan_within
from keras_unet.inference.preparation import as_image
from keras_unet.inference.tiling import Progress, predict_tiles
from keras_unet.inference.views import views
from keras_unet.segmentation import Segmentation

if TYPE_CHECKING:
    import keras

    from keras_unet.normalization import Normalization
    from keras_unet.sample import Sample
    from keras_unet.targets.base import Target

AVERAGES = ("probabilities", "scores")
BATCH_PIXELS = 2**20
"""Small tiles run together up to this number of input pixels."""
MAX_BATCH = 16


class Segmenter:
    """A model with the target, normalisation and class names that it was trained with.

    An image is normalised as a whole, never per tile, extrapolated by mirroring at its border and
    cut into overlapping tiles on the network's pooling grid (the paper's overlap-tile strategy), so
    that the result has the image's size and depends neither on the tiles nor on the batches. That
    holds for networks whose outputs depend on a neighbourhood: the paper's, and those with batch
    normalisation. Group and layer normalisation average over the whole tile; for such networks
    choose `max_tile` as in training.

    With a `resolution` other than 1 the network works on a coarser or finer grid: the raw image is
    resized to it, and the probabilities back to the image's size, where classes and objects are
    found. Tiles are in pixels of that grid, a target's `min_size` in pixels of the image.

    Args:
        model: A Keras model: images `(batch, *spatial, C)` -> logits `(batch, *spatial, K)`.
        target: How outputs become classes and instances. Defaults to
            `ClassTarget(num_classes=K)`.
        normalization: How an image becomes what the network sees. Defaults to `Normalization()`.
        resolution: Size of the grid on which the network works, as a fraction of the image's, 0.05
            to 8, one number or one per axis. Defaults to 1.
        geometry: Sizes of the network. Defaults to `model.geometry`, which the models of this
            package have.
        max_tile: Largest tile in pixels of the network's grid, one number or one per axis. Defaults
            to None: as large as `memory_limit` allows.
        memory_limit: Bytes that the network's activations may take, by `estimate_memory`; used
            where `max_tile` is None. Defaults to 2 GiB.
        batch_size: Number of tiles that run at once. Defaults to None: small tiles together up to
            2**20 pixels, large ones singly.
        tta: Test-time augmentation: None, `"flips"`, `"d4"` or `"paper7"`; see
            `keras_unet.inference.views.views`. Defaults to None.
        average: What is averaged over the views: `"probabilities"`, or `"scores"`, the logits, as
            in the authors' released code. Defaults to `"probabilities"`.
        class_names: Names of the classes, in order. Defaults to None: background and object for
            two classes, else class 0, class 1, ...

    Raises:
        ValueError: If the parts do not fit together.

    Example:
        >>> segmenter = keras_unet.Segmenter(model)
        >>> result = segmenter.predict(image)       # (H, W) or (H, W, C), any size
        >>> result.classes.shape, result.count
        ((1040, 1392), 57)
        >>> segmenter.save("runs/cells")
        >>> segmenter = keras_unet.Segmenter.load("runs/cells")

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """

    def __init__(
        self,
        model: keras.Model,
        target: Target | None = None,
        normalization: Normalization | None = None,
        *,
        resolution: grids.Resolution = 1.0,
        geometry: Geometry | None = None,
        max_tile: int | Sequence[int] | None = None,
        memory_limit: int = DEFAULT_LIMIT,
        batch_size: int | None = None,
        tta: str | None = None,
        average: str = "probabilities",
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.geometry = _geometry_of(model, geometry)
        self.target = target or _default_target(model)
        self.normalization = normalization or _default_normalization()
        self.resolution = grids.plain(resolution)
        self.max_tile = _plain(max_tile)
        self.memory_limit = memory_limit
        self.batch_size = batch_size
        self.tta = tta
        self.average = average
        self.class_names = _names(class_names, getattr(self.target, "num_classes", 2))
        self._bytes: dict[tuple[int, ...], int] = {}
        self._check()

    def _check(self) -> None:
        outputs = self.model.output_shape[-1]
        if outputs != self.target.num_outputs:
            raise ValueError(
                f"target {self.target.name!r} needs {self.target.num_outputs} outputs. "
                f"Received: model.output_shape={self.model.output_shape}"
            )
        if self.average not in AVERAGES:
            raise ValueError(
                f"average must be one of {AVERAGES}. Received: average={self.average!r}"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(
                f"batch_size must be at least 1. Received: batch_size={self.batch_size}"
            )
        grids.working_shape((1,) * self.geometry.rank, self.resolution)
        next(views(self.tta, self.geometry.rank))
        plan_tiles((1,) * self.geometry.rank, self.geometry, self.max_tile)

    @property
    def channels(self) -> int | None:
        """Image channels that the network takes; None for any number."""
        return self.model.input_shape[-1]

    def plan(self, shape: Sequence[int]) -> TilePlan:
        """The tiles for an image of a spatial shape.

        Args:
            shape: Spatial shape in pixels of the network's grid: that of the image, or
                `data.resolution.working_shape(image_shape, resolution)` where that is not 1.

        Returns:
            A `TilePlan` in the same pixels.
        """
        fixed = self.model.input_shape[1:-1]
        if None not in fixed:
            return plan_fixed(shape, self.geometry, fixed)
        if self.max_tile is not None:
            return plan_tiles(shape, self.geometry, self.max_tile)
        return plan_within(shape, self.geometry, self._estimate, self.memory_limit)

    def _estimate(self, tile_shape: tuple[int, ...]) -> int:
        if tile_shape not in self._bytes:
            self._bytes[tile_shape] = estimate_memory(self.model, tile_shape)
        return self._bytes[tile_shape]

    def batch_of(self, plan: TilePlan) -> int:
        """Number of tiles of a plan that run at once."""
        if self.batch_size is not None:
            return self.batch_size
        return min(max(BATCH_PIXELS // math.prod(plan.tile_shape), 1), MAX_BATCH)

    @cached_property
    def tile_scores(self) -> Callable[[np.ndarray], np.ndarray]:
        """The network as a function: normalised tiles `(batch, *tile_shape, C)` -> logits."""
        from keras_unet.inference.engines.keras_engine import Runner

        return Runner(self.model)

    def tile_probabilities(self, batch: np.ndarray) -> np.ndarray:
        """The same with the target's activation."""
        return self.target.activate(self.tile_scores(batch))

    def predict(self, image: Any, progress: bool | Progress = False) -> Segmentation:
        """Segments one image of any size.

        Args:
            image: `(*spatial)` or `(*spatial, C)`, any real dtype, raw: it is normalised here. For
                a network of 3 channels grey is repeated, and an alpha channel is dropped.
            progress: True for a progress bar, or a function of (finished tiles, all tiles).
                Defaults to False.

        Returns:
            `Segmentation(probabilities, classes, instances)` of the image's spatial shape.

        Raises:
            ValueError: If the image does not fit the network, is empty, or has NaN or infinite
                values.
        """
        image = as_image(image, self.geometry.rank, self.channels)
        shape = image.shape[:-1]
        image = grids.resize_image(image, grids.working_shape(shape, self.resolution))
        stack = image[None] if image.ndim == 2 else image  # (W, C): Normalization needs a plane
        normalized = self.normalization(stack).reshape(image.shape)
        with _reporting(progress) as report:
            probabilities = grids.resize_maps(self._average(normalized, report), shape)
        return Segmentation(probabilities, *self.target.decode(probabilities))

    def _average(self, image: np.ndarray, report: Progress | None) -> np.ndarray:
        """Mean probabilities over the views of a normalised image."""
        looks = list(views(self.tta, self.geometry.rank))
        shape = image.shape[:-1]
        plans = [self.plan(view.shape(shape)) for view in looks]
        run = self.tile_scores if self.average == "scores" else self.tile_probabilities
        finished, total = 0, sum(len(plan) for plan in plans)
        mean = np.zeros((*shape, self.target.num_outputs), np.float32)

        def count(*_: int) -> None:
            nonlocal finished
            finished += 1
            if report is not None:
                report(finished, total)

        for view, plan in zip(looks, plans, strict=True):
            size = self.batch_of(plan)
            outputs = predict_tiles(view.apply(image), plan, run, batch_size=size, progress=count)
            mean += view.invert(outputs, shape)
        mean /= len(looks)
        return self.target.activate(mean) if self.average == "scores" else mean

    def evaluate(self, samples: Iterable[Sample]) -> dict[str, Any]:
        """Segments annotated samples and scores the results.

        Pixels outside a sample's `annotated` map are left out, of predicted objects too. Scores of
        all samples are computed from summed counts; `"samples"` holds the same per sample.

        Args:
            samples: Samples with instances or classes.

        Returns:
            `pixel_accuracy`, `pixel_error`, `mean_iou`, `mean_dice`, `foreground_iou`,
            `foreground_dice`; `iou` and `dice` by class name (NaN where a class occurs nowhere);
            where samples have instances also `seg`, `ap50`, `f1`, `true_count`, `pred_count`;
            `confusion_matrix` (rows are the truth); and `samples`, a list with the same and `name`.

        Raises:
            ValueError: If there is no sample, or one does not fit; the message names it.
        """
        from keras_unet.evaluation.scores import evaluate_samples

        return evaluate_samples(self.predict, samples, self.class_names)

    def save(self, path: str | os.PathLike) -> Path:
        """Writes `segmenter.json` and `model.keras` into a folder.

        Args:
            path: A new or empty folder, or one of an earlier run, whose other files are kept.

        Returns:
            The folder.

        Raises:
            ValueError: If the folder holds other things.
        """
        return storage.save_run(path, self.model, self.get_config())

    @classmethod
    def load(cls, path: str | os.PathLike) -> Segmenter:
        """Reads a folder that `save` has written.

        Raises:
            ValueError: If a file is missing, damaged, or of a newer format.
        """
        model, config = storage.load_run(path)
        return cls._from_config(model, config, Path(path) / storage.CONFIG_NAME)

    @classmethod
    def from_preset(cls, name: str | os.PathLike) -> Segmenter:
        """Makes a trained segmenter that comes with the package.

        Args:
            name: `"nuclei"` (grey or RGB), or another of `inference.presets.names()`; or a folder
                that `presets.save_preset` has written.

        Raises:
            ValueError: If there is no such preset, or a file of it is missing or damaged.
        """
        model, config = presets.load_preset(name)
        return cls._from_config(model, config, name)

    @classmethod
    def _from_config(cls, model: keras.Model, config: dict[str, Any], origin: Any) -> Segmenter:
        from keras_unet import targets
        from keras_unet.normalization import Normalization

        try:
            parts = {
                "target": targets.create(config["target"]["name"], **config["target"]["config"]),
                "normalization": Normalization(**config["normalization"]),
                "geometry": geometry_from_config(config["geometry"]),
            }
            return cls(model, **parts, **{name: config[name] for name in OPTIONS})
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{origin} does not describe a segmenter ({type(error).__name__}: {error}); "
                "save it again"
            ) from error

    def get_config(self) -> dict[str, Any]:
        """Everything but the model, as plain values."""
        return {
            "target": {"name": self.target.name, "config": self.target.get_config()},
            "normalization": self.normalization.get_config(),
            "geometry": self.geometry.get_config(),
            **{name: getattr(self, name) for name in OPTIONS},
        }

    def __repr__(self) -> str:
        resolution = (
            "" if self.resolution == 1 else f"resolution={grids.resolution_text(self.resolution)}, "
        )
        return (
            f"Segmenter(model={self.model.name!r}, target={self.target.name!r}, "
            f"normalization={self.normalization!r}, {resolution}max_tile={self.max_tile}, "
            f"tta={self.tta!r}, class_names={self.class_names})"
        )


OPTIONS = ("resolution", "max_tile", "memory_limit", "batch_size", "tta", "average", "class_names")
"""Arguments that are plain values and are stored under their names."""


def load_segmenter(
    run: str | Path | Segmenter, tta: str | None = None, max_tile: int | None = None
) -> Segmenter:
    """The segmenter of a run folder, with other test-time augmentation and tiles where given."""
    segmenter = run if isinstance(run, Segmenter) else Segmenter.load(run)
    if tta is not None:
        segmenter.tta = tta
    if max_tile is not None:
        segmenter.max_tile = max_tile
    return segmenter


def _geometry_of(model: keras.Model, geometry: Geometry | None) -> Geometry:
    geometry = geometry or getattr(model, "geometry", None)
    if geometry is None:
        raise ValueError(
            "the model has no geometry; pass one that describes it, for example "
            "geometry=keras_unet.UNetGeometry(depth=4, padding='same'). "
            f"Received: model={getattr(model, 'name', model)!r}"
        )
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != geometry.rank + 2:
        raise ValueError(
            f"the model must have one input (batch, *spatial, channels) with {geometry.rank} "
            f"spatial axes. Received: model.input_shape={shape}"
        )
    if None in shape[1:-1] and set(shape[1:-1]) != {None}:
        raise ValueError(
            "the model's spatial sizes must be all free or all fixed. "
            f"Received: model.input_shape={shape}"
        )
    return geometry


def _default_target(model: keras.Model) -> Target:
    from keras_unet.targets import ClassTarget

    return ClassTarget(num_classes=model.output_shape[-1])


def _default_normalization() -> Normalization:
    from keras_unet.normalization import Normalization

    return Normalization()


def _plain(max_tile: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    """Python integers, which can be stored."""
    if max_tile is None:
        return None
    return tuple(map(int, max_tile)) if isinstance(max_tile, Sequence) else int(max_tile)


def _names(names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return ["background", "object"] if count == 2 else [f"class {i}" for i in range(count)]
    if isinstance(names, str) or len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"class_names needs {count} different names. Received: class_names={names!r}"
        )
    return [str(name) for name in names]


@contextlib.contextmanager
def _reporting(progress: bool | Progress) -> Iterator[Progress | None]:
    """The function to call with (finished, all) tiles, if any."""
    if callable(progress):
        yield progress
    elif not progress:
        yield None
    else:
        from rich.progress import Progress as Bar

        with Bar(transient=True) as bar:
            task = bar.add_task("tiles")
            yield lambda done, total: bar.update(task, completed=done, total=total)
