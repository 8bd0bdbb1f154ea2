"""A `Segmenter` as TensorFlow graph operations: from raw grey values to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from keras_unet.export.float32 import float32_model
from keras_unet.export.graph_normalization import normalize
from keras_unet.export.graph_resizing import resize_image, resize_maps, working_shape
from keras_unet.export.graph_tiling import Tiler
from keras_unet.inference.outputs import activated
from keras_unet.inference.tile_runner import BATCH_PIXELS, LARGE, MAX_BATCH

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter


class SegmenterGraph:
    """What `Segmenter.predict` does to one image, for sizes that are known when the graph runs.

    Normalization, resolution, mirror, tiles, network and activation are the same, and so are the
    numbers. Test-time augmentation is left out. Classes are each pixel's own: that objects of
    fewer than `min_size` pixels become background and that gaps are closed needs connected
    components, which are no TensorFlow operation.

    Args:
        segmenter: A trained segmenter, on the TensorFlow backend.
        max_tile: Largest input tile in pixels, one number or one per axis. Defaults to None: that
            of the segmenter, or else what fits into its `memory_limit`.

    Attributes:
        model: The network in float32.
        rank: Number of spatial axes.
        channels: Channels of the images.
        outputs: Channels of the probabilities.
        max_tile: The largest tile for each axis.

    Raises:
        ValueError: If the backend is another one, or the segmenter has a target or channels that
            cannot be exported.
    """

    def __init__(self, segmenter: Segmenter, max_tile: int | Sequence[int] | None = None) -> None:
        check_exportable(segmenter)
        self.model = float32_model(segmenter.model)
        self.target = segmenter.target
        self._are_logits = segmenter.gives == "logits"
        self.normalization = segmenter.normalization
        self.resolution = segmenter.resolution
        self.rank = segmenter.geometry.rank
        self.channels: int = segmenter.channels or 1
        self.outputs: int = self.target.num_outputs
        self.max_tile = _largest_tile(segmenter, max_tile)
        size = segmenter.batch_size
        fixed = segmenter.model.input_shape[1:-1]
        tiles = tf.TensorSpec((None, *fixed, self.channels), tf.float32)
        # One function, so that the network is traced and stored once, not for every signature.
        self._network = tf.function(self._activated, input_signature=[tiles], autograph=False)
        self._tiler = Tiler(
            segmenter.geometry,
            self.max_tile,
            None if None in fixed else fixed,
            lambda pixels: (
                tf.clip_by_value(BATCH_PIXELS // pixels, 1, MAX_BATCH)
                if size is None
                else tf.constant(size)
            ),
            segmenter.margin,
        )

    def probabilities(self, values: tf.Tensor, peak: tf.Tensor | None = None) -> tf.Tensor:
        """Segments one image.

        Args:
            values: Raw grey values `(*spatial, channels)`, float32, or int32 with `peak`.
            peak: The largest grey level of the image's integer dtype, float64 scalar. Defaults to
                None, a float image.

        Returns:
            `(*spatial, outputs)` float32.
        """
        shape = tf.shape(values)[:-1]
        if self.resolution != 1:
            values = resize_image(values, working_shape(shape, self.resolution))
        image = normalize(self.normalization, values, peak)
        found = self._tiler(image, self._network, self.outputs)
        return found if self.resolution == 1 else resize_maps(found, shape)

    def _activated(self, tiles: tf.Tensor) -> tf.Tensor:
        outputs = self.model(tiles, training=False)
        return activated(self.target, outputs, self._are_logits, keras.ops)

    def classes(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Class of every pixel, uint8 `(..., *spatial)`, of probabilities with one axis more."""
        return tf.cast(self.target.pixel_classes(probabilities, keras.ops), tf.uint8)

    def foreground(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Probability that a pixel is not background, float32."""
        return self.target.foreground(probabilities, keras.ops)


def check_exportable(segmenter: Segmenter) -> None:
    """Raises a `ValueError` for what no exported graph can do."""
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "exports need the TensorFlow backend; start Python with KERAS_BACKEND=tensorflow. "
            f"Received: backend {keras.config.backend()!r}"
        )
    target = segmenter.target
    if not target.exportable or target.num_classes > 256:
        raise ValueError(
            "exports need a target that is exportable and has up to 256 classes. "
            f"Received: target {target.name!r} with {target.num_classes} classes"
        )
    if segmenter.channels is None:
        raise ValueError(
            "exports need a known number of image channels. "
            f"Received: model.input_shape={segmenter.model.input_shape}"
        )


def _largest_tile(segmenter: Segmenter, max_tile: int | Sequence[int] | None) -> tuple[int, ...]:
    rank = segmenter.geometry.rank
    if max_tile is None and None in segmenter.model.input_shape[1:-1]:
        max_tile = segmenter.max_tile
    if max_tile is None:
        return segmenter.plan((LARGE,) * rank).tile_shape
    sizes = (max_tile,) * rank if isinstance(max_tile, int) else tuple(max_tile)
    if len(sizes) != rank or min(sizes) < 1:
        raise ValueError(
            f"max_tile needs one positive number, or {rank} of them. Received: max_tile={max_tile}"
        )
    return tuple(map(int, sizes))
