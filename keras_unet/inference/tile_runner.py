"""Runs a prepared image through a network: views, tiles, batches, activation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet._arguments import check_one_of
from keras_unet.geometry.base import Geometry
from keras_unet.geometry.tiles import TilePlan, plan_tiles
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.memory import plan_for
from keras_unet.inference.outputs import activated, gives_logits
from keras_unet.inference.tiling import Progress, predict_tiles
from keras_unet.inference.views import views
from keras_unet.targets.base import Target

if TYPE_CHECKING:
    import keras

AVERAGES = ("probabilities", "scores")
BATCH_PIXELS = 2**20
"""Small tiles run together up to this number of input pixels."""
MAX_BATCH = 16
LARGE = 2**20
"""Side of an image that is larger than any tile, to check that a limit can be kept."""


class TileRunner:
    """A network with its target and the choice of tiles, as the part of a `Segmenter` that runs it.

    The `Segmenter`'s constructor sets the attributes and calls `_check`; they do not change after.
    """

    engine: Engine
    target: Target
    geometry: Geometry
    max_tile: int | tuple[int, ...] | None
    memory_limit: int
    margin: int | str
    batch_size: int | None
    tta: str | None
    average: str
    from_logits: bool | None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"a Segmenter does not change; segmenter.replace({name}=...) makes another one. "
            f"Received: {name}={value!r}"
        )

    def _check(self) -> None:
        outputs = self.engine.num_outputs
        if self.engine.gives != "classes" and not self.target.takes(outputs):
            raise ValueError(
                f"target {self.target.name!r} needs {self.target.num_outputs} outputs. "
                f"Received: a network with {outputs}"
            )
        check_one_of("average", self.average, AVERAGES)
        if self.average == "scores" and self.gives != "logits":
            raise ValueError(
                f"average='scores' needs logits; this network gives {self.gives}. "
                "Received: average='scores'"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(
                f"batch_size must be at least 1. Received: batch_size={self.batch_size}"
            )
        next(views(self.tta, self.geometry.rank))
        plan_tiles((LARGE,) * self.geometry.rank, self.geometry, self.max_tile)

    @property
    def model(self) -> keras.Model:
        """The Keras model, loaded where the network is run from a file beside it.

        Raises:
            ValueError: If the segmenter runs an exported file.
        """
        return self.engine.keras_model()

    @property
    def gives(self) -> str:
        """What the network gives: "logits", "probabilities" or "classes"."""
        if self.engine.gives == "classes":
            return "classes"
        return "probabilities" if self.from_logits is False else "logits"

    @property
    def channels(self) -> int | None:
        """Image channels that the network takes; None for any number."""
        return self.engine.input_shape[-1]

    def plan(self, shape: Sequence[int]) -> TilePlan:
        """The tiles for an image of a spatial shape.

        Args:
            shape: Spatial shape in pixels of the network's grid: that of the image, or
                `data.working_shape(image_shape, resolution)` where that is not 1.

        Returns:
            A `TilePlan` in the same pixels.
        """
        return plan_for(
            self.engine, self.geometry, shape, self.max_tile, self.memory_limit, self.margin
        )

    def batch_of(self, plan: TilePlan) -> int:
        """Number of tiles of a plan that run at once."""
        if self.batch_size is not None:
            return self.batch_size
        return min(max(BATCH_PIXELS // math.prod(plan.tile_shape), 1), MAX_BATCH)

    def tile_probabilities(self, batch: np.ndarray) -> np.ndarray:
        """The network with the target's activation, on normalized tiles.

        Args:
            batch: `(N, *tile_shape, C)` float32.

        Returns:
            `(N, *output_shape, num_outputs)` float32.
        """
        if self.gives == "classes":
            return self.target.maps_of(self.engine(batch)[..., 0].astype(np.int32))
        return activated(self.target, self._outputs(batch), self.gives == "logits")

    def _outputs(self, batch: np.ndarray) -> np.ndarray:
        """The network's outputs; the first ones are looked at where nothing tells what they are."""
        outputs = self.engine(batch)
        if self.from_logits is None and "_looked" not in vars(self):
            vars(self)["_looked"] = True
            if self.target.look_activated(outputs):
                warnings.warn(
                    "the network's outputs look like probabilities, but are taken for logits; if "
                    "it ends in soft-max or sigmoid, give Segmenter(..., from_logits=False), else "
                    "from_logits=True",
                    stacklevel=2,
                )
        return outputs

    def _scores(self, batch: np.ndarray) -> np.ndarray:
        """Logits as the target knows them."""
        return self.target.widen(self._outputs(batch), are_logits=True)

    def run(self, image: np.ndarray, report: Progress | None = None) -> np.ndarray:
        """Mean of the activated outputs over the views of a prepared image.

        Args:
            image: `(*grid, C)` float32.
            report: Called with the numbers of finished and of all tiles. Defaults to None.

        Returns:
            `(*grid, num_outputs)` float32.
        """
        looks = list(views(self.tta, self.geometry.rank))
        plans = [self.plan(view.shape(image.shape[:-1])) for view in looks]
        run = self._scores if self.average == "scores" else self.tile_probabilities
        finished, total = 0, sum(len(plan) for plan in plans)
        mean = np.zeros((*image.shape[:-1], self.target.num_outputs), np.float32)

        def count(*_: int) -> None:
            nonlocal finished
            finished += 1
            if report is not None:
                report(finished, total)

        for view, plan in zip(looks, plans, strict=True):
            outputs = predict_tiles(
                view.apply(image), plan, run, batch_size=self.batch_of(plan), progress=count
            )
            mean += view.invert(outputs, image.shape[:-1])
        mean /= len(looks)
        return self.target.activate(mean) if self.average == "scores" else mean


def engine_of(model: keras.Model | Engine) -> Engine:
    """The engine that runs a Keras model, or the one that is given."""
    if isinstance(model, Engine):
        return model
    from keras_unet.inference.engines.keras_engine import KerasEngine

    return KerasEngine(model)


def settled(engine: Engine, from_logits: bool | None) -> bool | None:
    """Whether an engine gives logits: as given, or as it tells itself; None if nobody knows.

    Raises:
        ValueError: If an exported file says otherwise than what is given.
    """
    if hasattr(engine, "model"):
        return gives_logits(engine.model) if from_logits is None else bool(from_logits)
    known = engine.gives == "logits"
    if from_logits not in (None, known):
        raise ValueError(
            f"the exported network gives {engine.gives}, as its description says; leave "
            f"from_logits away. Received: from_logits={from_logits}"
        )
    return known
