"""RandomWarp: elastic deformation, rotation, flips and scale as a layer, one field for all keys."""

from __future__ import annotations

import itertools
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_unet.augmentation import field
from keras_unet.augmentation.ranges import Range, SpatialRanges

_DRAWN = ("rotation", "rot90", "scale", "flip0", "flip1", "flip2", "shift0", "shift1", "shift2")
"""The quantity that each uniform number of an image is for; digits are spatial axes."""


@keras.saving.register_keras_serializable(package="keras_unet")
class RandomWarp(keras.layers.Layer):
    """Random spatial changes of a batch inside a model, with the maths of `data.Augmentation`.

    Every image of the batch gets its own field, a spline through normal random displacements on a
    coarse grid after a rotation, flips, a magnification and a shift; an image and its masks get the
    same one. Images are sampled linearly, masks at their nearest pixel: ids and dtype stay. Beyond
    its border an image is continued by its mirror image. At inference the layer does nothing.

    In a `tf.data` pipeline use `data.Augmentation`, which is stateless and also does grey values;
    a layer belongs in a model, or (TensorFlow backend only) in `map`.

    Args:
        grid: Knots along each axis, one number or one per axis. Defaults to 3.
        sigma: Standard deviation of the displacements at the knots in pixels, one number or one per
            axis; smaller along short axes, see `data.Augmentation`. Defaults to 10.
        interpolation: "bicubic" or "bspline", see `data.Augmentation`. Defaults to "bicubic".
        rotation: Degrees in the plane of the last two axes; a number `x` means `-x..x`, or a pair.
            Defaults to 180.
        flip: Whether each axis is flipped half of the time, one value or one per axis. Defaults to
            True.
        rot90: Whether the last two axes are turned by random quarter turns. Defaults to False.
        scale: Magnification; a number `x >= 1` means `1/x..x`, or a pair. Defaults to 1.
        shift: Pixels; a number `x` means `-x..x`, or a pair. Defaults to 0.
        seed: Integer seed. Defaults to None, another one each time.
        **kwargs: Arguments of `keras.layers.Layer`; the layer computes in float32 whatever the
            dtype policy is.

    Call arguments:
        data: A batch of images, or a dictionary with "images", "segmentation_masks" or both and any
            other keys, which pass through.
        training: Whether to warp. Defaults to None, which is False outside of `fit`.

    Input shape:
        Images `(batch, *spatial, channels)` with two or three spatial axes; masks alike, or, beside
        images, `(batch, *spatial)`.

    Output shape:
        The same, and the same dtypes (integer images are rounded).

    Raises:
        ValueError: If an argument is out of its range, or shapes do not match.

    Example:
        >>> layer = RandomWarp(sigma=4.0, seed=0)
        >>> batch = {"images": np.zeros((2, 48, 40, 1)), "segmentation_masks": np.ones((2, 48, 40))}
        >>> tuple(layer(batch, training=True)["images"].shape)
        (2, 48, 40, 1)

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """

    def __init__(
        self,
        grid: int | tuple[int, ...] = 3,
        sigma: float | tuple[float, ...] = 10.0,
        interpolation: str = "bicubic",
        rotation: Range = 180.0,
        flip: bool | tuple[bool, ...] = True,
        rot90: bool = False,
        scale: Range = 1.0,
        shift: Range = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Casting to half precision would destroy positions, and ids above 256.
        super().__init__(autocast=False, **kwargs)
        self._ranges = SpatialRanges(
            grid, sigma, interpolation, rotation, flip, rot90, scale, shift
        )
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, data: Any, training: bool | None = None) -> Any:
        """Warps the batch; see the class."""
        if not training:
            return data
        if not isinstance(data, dict):
            return self._warp({"images": data})["images"]
        return {**data, **self._warp(data)}

    def compute_output_spec(self, data: Any, training: bool | None = None) -> Any:
        """Shapes and dtypes stay."""
        return keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), data)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shapes stay."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {**super().get_config(), **self._ranges.get_config(), "seed": self.seed}

    # === One field for all keys ===

    def _warp(self, data: dict[str, Any]) -> dict[str, Any]:
        known = {key: data[key] for key in ("images", "segmentation_masks") if key in data}
        shapes = {key: tuple(value.shape) for key, value in known.items()}
        first = next(iter(shapes.values()), ())  # masks without channels need the images before
        rank = len(first) - 2
        if rank not in (2, 3):
            raise ValueError(
                'RandomWarp needs "images" or "segmentation_masks" of shape (batch, *spatial, '
                f"channels) with two or three spatial axes. Received: {shapes or sorted(data)}"
            )
        if any(shape[1 : rank + 1] != first[1:-1] for shape in shapes.values()):
            raise ValueError(
                "images and segmentation_masks must have the same spatial shape. "
                f"Received: {shapes}"
            )
        batch, *spatial = ops.shape(next(iter(known.values())))[:-1]
        positions = self._positions(batch, spatial)
        result: dict[str, Any] = {}
        for key, value in known.items():
            pixels = value if len(value.shape) == rank + 2 else value[..., None]
            sample = _linear if key == "images" else _nearest
            warped = sample(pixels, positions, spatial)
            result[key] = warped if len(value.shape) == rank + 2 else warped[..., 0]
        return result

    def _positions(self, batch: Any, spatial: list[Any]) -> list[Any]:
        """Source coordinates of every pixel, a float32 `(batch, *spatial)` array per axis."""
        rank, ranges = len(spatial), self._ranges
        middle = [(_float(size) - 1) / 2 for size in spatial]
        offsets = [_pixels(size) - m for size, m in zip(spatial, middle, strict=True)]
        numbers = keras.random.uniform(
            (batch, len(_DRAWN)), dtype="float32", seed=self.seed_generator
        )
        uniform = {
            name: ops.reshape(numbers[:, index], (-1,) + (1,) * rank)
            for index, name in enumerate(_DRAWN)
        }
        angle = self._between("rotation", uniform["rotation"]) * (math.pi / 180)
        turns = ops.floor((4.0 if ranges.rot90 else 0.0) * uniform["rot90"])
        flips = [
            1 - 2 * ops.cast(uniform[f"flip{axis}"] < 0.5 * flip, "float32")
            for axis, flip in enumerate(ranges.per_axis("flip", rank))
        ]
        scale = self._between("scale", uniform["scale"])
        affine = field.matrix(rank, ops.cos(angle), ops.sin(angle), turns, flips, scale)
        displaced = self._field(batch, spatial, offsets)
        shifts = [
            displaced[:, axis] + self._between("shift", uniform[f"shift{axis}"]) + middle[axis]
            for axis in range(rank)
        ]
        return field.coordinates(affine, [_tensor(line) for line in offsets], shifts)

    def _between(self, name: str, uniform: Any) -> Any:
        return _tensor(self._ranges.drawn(name, uniform, ops.exp))

    def _field(self, batch: Any, spatial: list[Any], offsets: list[Any]) -> Any:
        """Displacements in pixels, `(batch, rank, *spatial)`."""
        rank, kind = len(spatial), self._ranges.interpolation
        sigma, grid = (self._ranges.per_axis(name, rank) for name in ("sigma", "grid"))
        sizes = [_float(size) for size in spatial]
        bases = [_tensor(basis) for basis in field.spline_bases(offsets, sizes, grid, kind)]
        strengths = [
            ops.minimum(_tensor(s), field.largest_sigma(size, points, kind))
            for s, size, points in zip(sigma, sizes, grid, strict=True)
        ]
        shape = (batch, rank, *(field.knot_count(points, kind) for points in grid))
        knots = keras.random.normal(shape, dtype="float32", seed=self.seed_generator)
        strength = ops.reshape(ops.stack(strengths), (-1,) + (1,) * rank)
        return field.displacement(strength * knots, bases)


def _linear(pixels: Any, positions: list[Any], spatial: list[Any]) -> Any:
    """Interpolates `(batch, *spatial, C)` between the neighbouring pixels; dtype stays."""
    source = _Flat(ops.cast(pixels, "float32"), spatial)
    floors = [ops.floor(x) for x in positions]
    parts = [x - low for x, low in zip(positions, floors, strict=True)]
    result: Any = 0.0
    for corner in itertools.product((0, 1), repeat=len(spatial)):
        weight: Any = 1.0
        for step, part in zip(corner, parts, strict=True):
            weight = weight * (part if step else 1 - part)
        values = source.at([low + step for low, step in zip(floors, corner, strict=True)])
        result = result + weight[..., None] * values
    if not keras.backend.is_float_dtype(pixels.dtype):
        result = ops.round(result)
    return ops.cast(result, pixels.dtype)


def _nearest(pixels: Any, positions: list[Any], spatial: list[Any]) -> Any:
    """Takes the nearest pixel of `(batch, *spatial, C)`; values and dtype stay."""
    return _Flat(pixels, spatial).at([ops.floor(x + 0.5) for x in positions])


class _Flat:
    """A batch of images as one list of pixels, which is gathered from at once."""

    def __init__(self, pixels: Any, spatial: list[Any]) -> None:
        self.spatial = spatial
        self.batch = ops.shape(pixels)[0]
        self.pixels = ops.reshape(pixels, (-1, pixels.shape[-1]))

    def at(self, whole: list[Any]) -> Any:
        """The pixels at whole positions, which are mirrored into the images."""
        rank = len(self.spatial)
        index = ops.reshape(ops.arange(self.batch, dtype="int32"), (-1,) + (1,) * rank)
        for size, line in zip(self.spatial, whole, strict=True):
            index = index * size + ops.cast(field.mirror_fold(line, _float(size)), "int32")
        return ops.take(self.pixels, index, axis=0)


def _float(size: Any) -> Any:
    """A size as a float, whether known or not."""
    return float(size) if isinstance(size, int) else ops.cast(size, "float32")


def _pixels(size: Any) -> Any:
    """0 .. size - 1; NumPy where the size is known, so that bases become constants."""
    if isinstance(size, int):
        return np.arange(size, dtype=np.float64)
    return ops.arange(size, dtype="float32")


def _tensor(value: Any) -> Any:
    return ops.convert_to_tensor(value, dtype="float32")
