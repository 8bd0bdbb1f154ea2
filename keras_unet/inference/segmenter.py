"""The Segmenter: a network with everything that it needs to segment an image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet import targets
from keras_unet._arguments import did_you_mean
from keras_unet.data import resolution as grids
from keras_unet.geometry.base import Geometry
from keras_unet.inference import storage
from keras_unet.inference.engines.base import Engine, geometry_of
from keras_unet.inference.loading import OPTIONS, made, stored, stored_preset
from keras_unet.inference.memory import DEFAULT_LIMIT
from keras_unet.inference.plain_values import plain_margin, plain_names, plain_reading, plain_tile
from keras_unet.inference.precision import in_precision
from keras_unet.inference.preparation import Preparation, finish
from keras_unet.inference.tile_runner import TileRunner, engine_of, settled
from keras_unet.inference.tiling import Progress, reporting
from keras_unet.normalization import Normalization
from keras_unet.segmentation import Segmentation
from keras_unet.targets.base import Target

if TYPE_CHECKING:
    import keras

    from keras_unet.sample import Sample


class Segmenter(TileRunner):
    """A model with the target, normalization and class names that it was trained with.

    An image is normalized as a whole, never per tile, extrapolated by mirroring at its border and
    cut into overlapping tiles on the network's pooling grid (the paper's overlap-tile strategy), so
    that the result has the image's size and depends neither on the tiles nor on the batches. That
    holds for networks whose outputs depend on a neighbourhood: the paper's, and those with batch
    normalization. Group and layer normalization average over the whole tile; for such networks
    choose `max_tile` as in training.

    With a `resolution` other than 1 the network works on a coarser or finer grid: the raw image is
    resized to it, and the probabilities back to the image's size, where classes and objects are
    found. Tiles are in pixels of that grid, a target's `min_size` in pixels of the image.

    A segmenter does not change: `replace` makes another one, which shares the engine.

    Args:
        model: A Keras model: images `(batch, *spatial, C)` -> logits or probabilities
            `(batch, *spatial, K)`, K = 1 for two classes as a sigmoid's foreground; or another
            `engines.base.Engine`, as `load` makes it of an exported file.
        target: How outputs become classes and instances. Defaults to
            `ClassTarget(num_classes=K)`, of two classes for K = 1.
        normalization: How an image becomes what the network sees. Defaults to `Normalization()`.
        resolution: Size of the grid on which the network works, as a fraction of the image's, 0.05
            to 8, one number or one per axis. Defaults to 1.
        geometry: Sizes of the network. Defaults to `model.geometry`, which the models of this
            package have.
        max_tile: Largest tile in pixels of the network's grid, one number or one per axis. Defaults
            to None: as large as `memory_limit` allows; 1,024 where an engine's memory is not known.
        memory_limit: Bytes that the network's activations may take, by `estimate_memory`; used
            where `max_tile` is None. Defaults to 2 GiB.
        margin: Pixels of the network's grid that are mirrored beyond the image's border, rounded up
            to a multiple of the stride, or `"full"`: all that the network reads, and the only
            choice of one without padding. Fewer are less work; see `geometry.mirrored_margin`.
            Defaults to None: two strides.
        batch_size: Number of tiles that run at once. Defaults to None: small tiles together up to
            2**20 pixels, large ones singly.
        tta: Test-time augmentation: None, `"flips"`, `"d4"` or `"paper7"`; see
            `keras_unet.inference.views.views`. Defaults to None.
        average: What is averaged over the views: `"probabilities"`, or `"scores"`, the logits, as
            in the authors' released code. Defaults to `"probabilities"`.
        class_names: Names of the classes, in order. Defaults to None: background and object for
            two classes, else class 0, class 1, ...
        from_logits: Whether the model gives logits. Defaults to None: its last operation, or an
            exported file, tells; else yes, with a warning if tiles look like probabilities.
        precision: In what the network computes: "float32", the same numbers on every machine;
            "bfloat16", for CPUs that have it; "auto", that where the CPU has it and the engine
            takes it. The head stays in float32. It is not stored. Defaults to "float32".
        reading: How image files are read for the network: `channel` and `channels` of
            `data.read_image`, where they are not given for a file. Defaults to None, all channels.

    Raises:
        ValueError: If the parts do not fit together.

    Example:
        >>> segmenter = keras_unet.Segmenter(model)
        >>> result = segmenter.predict(image)       # (H, W) or (H, W, C), any size
        >>> result.classes.shape, result.probabilities.shape
        ((64, 80), (64, 80, 2))
        >>> segmenter.save("runs/cells")
        PosixPath('runs/cells')
        >>> segmenter = keras_unet.Segmenter.load("runs/cells")

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """

    normalization: Normalization
    resolution: float | list[float]
    class_names: list[str]
    reading: dict[str, Any]
    precision: str

    def __init__(
        self,
        model: keras.Model | Engine,
        target: Target | None = None,
        normalization: Normalization | None = None,
        *,
        resolution: grids.Resolution = 1.0,
        geometry: Geometry | None = None,
        max_tile: int | Sequence[int] | None = None,
        memory_limit: int = DEFAULT_LIMIT,
        margin: int | str | None = None,
        batch_size: int | None = None,
        tta: str | None = None,
        average: str = "probabilities",
        class_names: Sequence[str] | None = None,
        from_logits: bool | None = None,
        reading: Mapping[str, Any] | None = None,
        precision: str = "float32",
    ) -> None:
        engine = in_precision(engine_of(model), precision)
        geometry = geometry_of(model, geometry)
        target = target or targets.create("classes", num_classes=max(engine.num_outputs, 2))
        grids.working_shape((1,) * geometry.rank, resolution)
        vars(self).update(
            engine=engine,
            target=target,
            normalization=normalization or Normalization(),
            resolution=grids.plain(resolution),
            geometry=geometry,
            max_tile=plain_tile(max_tile),
            memory_limit=memory_limit,
            margin=plain_margin(geometry, margin),
            batch_size=batch_size,
            tta=tta,
            average=average,
            class_names=plain_names(class_names, target.num_classes),
            from_logits=settled(engine, from_logits),
            reading=plain_reading(reading or {}),
            precision=precision,
        )
        self._check()

    def replace(self, **changes: Any) -> Segmenter:
        """Another segmenter with some of the arguments changed; it shares the engine.

        Args:
            **changes: Arguments of the constructor.

        Returns:
            A `Segmenter`.

        Raises:
            ValueError: If a name is not an argument, or a value does not fit.

        Example:
            >>> segmenter.replace(tta="d4", max_tile=512).tta
            'd4'
        """
        parts: dict[str, Any] = {
            "model": self.engine,
            "target": self.target,
            "normalization": self.normalization,
        }
        names = ("geometry", "reading", "from_logits", "precision", *OPTIONS)
        arguments = parts | {name: getattr(self, name) for name in names}
        for name in changes:
            if name not in arguments:
                raise ValueError(
                    f"replace takes {', '.join(arguments)}{did_you_mean(name, arguments)}. "
                    f"Received: {name}={changes[name]!r}"
                )
        target = changes.get("target") or self.target
        if target.num_classes != self.target.num_classes:
            arguments["class_names"] = None
        return type(self)(**{**arguments, **changes})

    @cached_property
    def prepare(self) -> Preparation:
        """From a raw image to what the network sees: channels, grid, normalization."""
        return Preparation(self.geometry.rank, self.channels, self.normalization, self.resolution)

    def finish(self, maps: np.ndarray, shape: Sequence[int] | None = None) -> Segmentation:
        """From the network's activated outputs to a segmentation of an image of a spatial shape."""
        return finish(self.target, maps, shape)

    def reading_for(self, channel: Any = None, channels: int | None = None) -> dict[str, Any]:
        """Arguments of `data.read_image` that give what the network takes.

        Args:
            channel: In place of the `channel` of `reading`. Defaults to None, that one.
            channels: In place of the `channels` of `reading`. Defaults to None: that one, else grey
                or RGB where the network takes it.

        Returns:
            `channel`, `channels` and `rank`.

        Example:
            >>> segmenter.replace(reading={"channel": 2}).reading_for(channels=1)
            {'rank': 2, 'channel': 2, 'channels': 1}
        """
        own = self.channels if self.channels in (1, 3) else None
        return {
            "rank": self.geometry.rank,
            "channel": self.reading.get("channel") if channel is None else channel,
            "channels": channels or self.reading.get("channels") or own,
        }

    def predict(self, image: Any, progress: bool | Progress = False) -> Segmentation:
        """Segments one image of any size.

        Args:
            image: `(*spatial)` or `(*spatial, C)`, any real dtype, raw: it is normalized here. For
                a network of 3 channels grey is repeated, and an alpha channel is dropped.
            progress: True for a progress bar, or a function of (finished tiles, all tiles).
                Defaults to False.

        Returns:
            `Segmentation(probabilities, classes, instances)` of the image's spatial shape.

        Raises:
            ValueError: If the image does not fit the network, is empty, or has NaN or infinite
                values.
        """
        seen = self.prepare(image)
        with reporting(progress) as report:
            maps = self.run(seen, report)
        return self.finish(maps, np.shape(image)[: self.geometry.rank])

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

    def export(self, path: str | os.PathLike, format: str = "saved_model", **options: Any) -> Path:
        """Writes the network for other programs, see `keras_unet.export`.

        Args:
            path: Where to: a folder for "saved_model" (of all versions) and "web" (a new one), a
                file otherwise.
            format: "saved_model", "tflite", "onnx", "openvino" or "web". Defaults to "saved_model".
            **options: Arguments of the function of that name in `keras_unet.export`.

        Returns:
            What was written.

        Raises:
            ValueError: If there is no such format, or the segmenter or an option does not fit it.
        """
        from keras_unet.export.formats import export_as

        return export_as(self, path, format, **options)

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
    def load(
        cls, path: str | os.PathLike, engine: str = "auto", num_threads: int | None = None
    ) -> Segmenter:
        """Reads a folder that `save` has written, or an exported file.

        Args:
            path: A run folder; or a `.tflite`, `.onnx` or `.xml` file with the `.json` file beside
                it. Files, and folders with a network file (`export.onnx(..., in_place=True)`), need
                neither Keras nor TensorFlow.
            engine: What runs the network: "openvino", "onnx", "tflite" or "keras". Defaults to
                "auto": the first of them that is installed and has its file.
            num_threads: Threads of a file's engine. Defaults to None, its own choice.

        Returns:
            A `Segmenter`.

        Raises:
            ValueError: If a file is missing, damaged, of a newer format, or of another engine.

        Example:
            >>> Segmenter.load(segmenter.save("runs/cells")).class_names
            ['background', 'object']
        """
        return made(cls, *stored(path, engine, num_threads))

    @classmethod
    def from_preset(cls, name: str | os.PathLike, engine: str = "auto") -> Segmenter:
        """Makes a trained segmenter that comes with the package.

        Args:
            name: One of `keras_unet.presets()`, such as `"nuclei"` (grey or RGB); or a folder that
                `inference.presets.save_preset` has written.
            engine: What runs the network, as for `load`. Defaults to "auto".

        Raises:
            ValueError: If there is no such preset, or a file of it is missing or damaged.
        """
        return made(cls, *stored_preset(name, engine))

    def get_config(self) -> dict[str, Any]:
        """Everything but the network, as plain values."""
        return {
            "target": {"name": self.target.name, "config": self.target.get_config()},
            "normalization": self.normalization.get_config(),
            "geometry": self.geometry.get_config(),
            "reading": self.reading,
            "from_logits": self.from_logits,
            **{name: getattr(self, name) for name in OPTIONS},
        }

    def __repr__(self) -> str:
        resolution = (
            "" if self.resolution == 1 else f"resolution={grids.resolution_text(self.resolution)}, "
        )
        return (
            f"Segmenter(engine={self.engine.name!r}, target={self.target.name!r}, "
            f"normalization={self.normalization!r}, {resolution}max_tile={self.max_tile}, "
            f"tta={self.tta!r}, class_names={self.class_names})"
        )
