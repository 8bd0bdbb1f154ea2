"""The fused warp in TensorFlow: one sampling of an image and its labels, compiled by XLA.

Random numbers are drawn outside of the compiled function, because XLA's generator gives other
numbers than TensorFlow's for the same seed; so results do not depend on whether XLA is used (up to
rounding).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from keras_unet.augmentation import field, intensity

if TYPE_CHECKING:
    from keras_unet.augmentation.augmentation import Augmentation

_GREY = ("blur", "gamma", "gain", "offset", "noise")
LARGEST = 5.0
"""Displacements end at this many standard deviations, which happens once in two million knots."""
_ALGORITHM = "philox"  # the same numbers on every device

_DRAWN = (
    *("rotation", "scale", "gamma", "gain", "offset", "noise", "blur", "rot90"),
    *("flip0", "flip1", "flip2"),
    *("shift0", "shift1", "shift2"),
)
"""The quantity that each uniform number of a `Draw` is for; digits are spatial axes.

A new one goes to the end: philox counts, so the numbers before it stay the same.
"""


class Source(NamedTuple):
    """Where the pixels come from: one image inside flat arrays that may hold many.

    Attributes:
        image: `(N, C)` float32, images one after the other, each in row-major order.
        labels: `(N, L)`, their label maps, any integers.
        start: Index of the image's first pixel, integer scalar.
        shape: Spatial shape of the image, int32 `(rank,)`.
        corner: Pixel of the image at the (unwarped) output's first pixel, int32 `(rank,)`; may lie
            outside of the image.
    """

    image: tf.Tensor
    labels: tf.Tensor
    start: tf.Tensor
    shape: tf.Tensor
    corner: tf.Tensor


class Draw(NamedTuple):
    """The random numbers of one output image.

    Attributes:
        uniform: `(14,)` in 0..1, one for each name in `_DRAWN`, whether it is in use or not.
        knots: `(rank, *knot_counts)` standard normal, at most `LARGEST` away from 0.
        noise: `(*shape, C)` standard normal; of one element where there is no noise.
    """

    uniform: tf.Tensor
    knots: tf.Tensor
    noise: tf.Tensor


class FusedWarp:
    """Samples an image and its labels once, at all spatial changes of an augmentation together.

    Args:
        augmentation: What varies.
        shape: Spatial shape of the image that comes out.
        label_shape: Spatial shape of the label window that comes out, with the same centre; along
            each axis both sizes are even or both are odd. Defaults to `shape`.
        smallest: Smallest size of the images along each axis, if the output's centre always lies
            inside of them; where no pixel can then be farther away than one mirror image, the warp
            is faster. Defaults to None, images of any size.
        jit_compile: Whether XLA compiles it. Defaults to None: where XLA works.
    """

    def __init__(
        self,
        augmentation: Augmentation,
        shape: Sequence[int],
        label_shape: Sequence[int] | None = None,
        smallest: Sequence[int] | None = None,
        jit_compile: bool | None = None,
    ) -> None:
        self.augmentation = augmentation
        self.shape = tuple(int(size) for size in shape)
        self.label_shape = tuple(int(s) for s in label_shape) if label_shape else self.shape
        self.rank = len(self.shape)
        self.sigma = augmentation.sigma_for(self.shape)
        self.pixel_sizes = augmentation.pixel_sizes(self.rank)
        self.grid = augmentation.per_axis("grid", self.rank)
        self.once = smallest is not None and all(
            reach < size for reach, size in zip(self._reach(), smallest, strict=True)
        )
        if jit_compile is None:
            jit_compile = xla_works()
        compiled = functools.partial(tf.function, jit_compile=jit_compile, autograph=False)
        self._resample = compiled(self._sample)
        self._vary = compiled(self._grey)

    def _reach(self) -> list[float]:
        """How far the pixels in use are from the output's centre at most, along each axis."""
        aug = self.augmentation
        shapes = zip(self.shape, self.label_shape, strict=True)
        half = [(max(sizes) - 1) / 2 for sizes in shapes]
        if aug.rot90 or aug.varies("rotation"):
            pixels = self.pixel_sizes[-2:]
            radius = math.hypot(half[-2] * pixels[0], half[-1] * pixels[1])
            half[-2:] = [radius / pixel for pixel in pixels]
        lines = [np.linspace(-size, size, 101) for size in half]
        overshoot = math.prod(abs(b).sum(axis=0).max() for b in self._bases(lines))
        zoom, shift = aug.range_of("scale")[0], max(map(abs, aug.range_of("shift")))
        beyond = 3  # neighbours and rounding
        return [
            size / zoom + shift + LARGEST * sigma * overshoot + beyond
            for size, sigma in zip(half, self.sigma, strict=True)
        ]

    def draw(self, seed: tf.Tensor, channels: int) -> Draw:
        """Draws the random numbers of one image from a `(2,)` integer seed."""
        seeds = tf.random.split(seed, 3, alg=_ALGORITHM)
        counts = [field.knot_count(g, self.augmentation.interpolation) for g in self.grid]
        noise_shape = (*self.shape, channels) if self.augmentation.varies("noise") else (1,)
        elastic = any(self.sigma)
        return Draw(
            tf.random.stateless_uniform((len(_DRAWN),), seeds[0], alg=_ALGORITHM),
            tf.clip_by_value(_normal((self.rank, *counts), seeds[1]), -LARGEST, LARGEST)
            if elastic
            else tf.zeros((1,)),
            _normal(noise_shape, seeds[2]) if len(noise_shape) > 1 else tf.zeros((1,)),
        )

    def __call__(self, source: Source, draw: Draw) -> tuple[tf.Tensor, tf.Tensor]:
        """Samples one image.

        Args:
            source: The pixels.
            draw: The random numbers.

        Returns:
            `(image, labels)`: `(*shape, C)` float32 and `(*label_shape, L)`.
        """
        image, labels = self._resample(source, draw)
        image.set_shape((*self.shape, source.image.shape[-1]))
        labels.set_shape((*self.label_shape, source.labels.shape[-1]))
        if self.augmentation.varies(*_GREY):  # apart, or XLA samples anew for every use of a pixel
            image = self._vary(image, draw)
        return image, labels

    def _sample(self, source: Source, draw: Draw) -> tuple[tf.Tensor, tf.Tensor]:
        values = self._values(draw.uniform)
        whole, part = self._split(self._coordinates(self.shape, values, draw.knots), source)
        image = self._image(source, whole, part)
        if self.label_shape == self.shape:
            whole = [w + _float(p >= 0.5) for w, p in zip(whole, part, strict=True)]
        else:
            at = self._coordinates(self.label_shape, values, draw.knots)
            whole, _ = self._split([x + 0.5 for x in at], source)
        folded = [self._fold(source, axis, w) for axis, w in enumerate(whole)]
        index = self._flat(source, folded)
        if source.labels.shape[-1] == 1:  # XLA would gather into another layout and copy
            return image, tf.gather(source.labels[:, 0], index)[..., None]
        return image, tf.gather(source.labels, index)

    def _values(self, uniform: tf.Tensor) -> dict[str, tf.Tensor]:
        """The drawn quantities; each has its own uniform number, so that none moves another."""
        aug = self.augmentation
        drawn = {name: uniform[index] for index, name in enumerate(_DRAWN)}
        values = {
            name: self._between(name, drawn[name])
            for name in ("rotation", "scale", "gamma", "gain", "offset", "noise", "blur")
        }
        values["rot90"] = tf.floor(4 * drawn["rot90"]) if aug.rot90 else tf.constant(0.0)
        for axis, flip in enumerate(aug.per_axis("flip", self.rank)):
            values[f"flip{axis}"] = 1 - 2 * _float((drawn[f"flip{axis}"] < 0.5) & flip)
            values[f"shift{axis}"] = self._between("shift", drawn[f"shift{axis}"])
        return values

    def _between(self, name: str, uniform: tf.Tensor) -> tf.Tensor:
        return tf.convert_to_tensor(self.augmentation.drawn(name, uniform, tf.exp), tf.float32)

    def _coordinates(
        self, shape: Sequence[int], values: dict[str, tf.Tensor], knots: tf.Tensor
    ) -> list[tf.Tensor]:
        """Source pixels of the pixels of a window around the output's centre.

        They are relative to the pixel `corner + (size - 1) // 2`, so that float32 stays precise in
        images of any size.
        """
        offsets = [np.arange(n, dtype=np.float64) - (n - 1) / 2 for n in shape]
        shifts: list[tf.Tensor] = [
            values[f"shift{axis}"] / self.pixel_sizes[axis] + (size - 1) % 2 / 2
            for axis, size in enumerate(self.shape)
        ]
        if any(self.sigma):
            bases = self._bases(offsets)
            strength = np.array(self.sigma, np.float32).reshape((-1,) + (1,) * self.rank)
            displaced = field.displacement(strength * knots, bases)
            shifts = [displaced[axis] + shift for axis, shift in enumerate(shifts)]
        angle = values["rotation"] * (math.pi / 180)
        flips = [values[f"flip{axis}"] for axis in range(self.rank)]
        affine = field.matrix(
            self.rank,
            tf.cos(angle),
            tf.sin(angle),
            values["rot90"],
            flips,
            values["scale"],
            self.pixel_sizes,
        )
        lines = [line.astype(np.float32) for line in offsets]
        return field.coordinates(affine, lines, shifts)

    def _bases(self, offsets: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The spline bases at offsets from the output's centre, float32."""
        bases = field.spline_bases(offsets, self.shape, self.grid, self.augmentation.interpolation)
        return [basis.astype(np.float32) for basis in bases]

    def _split(
        self, coordinates: list[tf.Tensor], source: Source
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Whole pixels of the source image (as floats) and the fractions beyond them."""
        floors = [tf.floor(x) for x in coordinates]
        parts = [x - low for x, low in zip(coordinates, floors, strict=True)]
        middle = [(size - 1) // 2 for size in self.shape]
        whole = [
            low + _float(source.corner[axis] + middle[axis]) for axis, low in enumerate(floors)
        ]
        return whole, parts

    def _fold(self, source: Source, axis: int, whole: tf.Tensor) -> tf.Tensor:
        folded = field.mirror_fold(whole, _float(source.shape[axis]), self.once)
        return tf.cast(_whole_number(folded), source.start.dtype)

    def _flat(self, source: Source, folded: list[tf.Tensor]) -> tf.Tensor:
        index = folded[0]
        for axis in range(1, self.rank):
            index = index * tf.cast(source.shape[axis], index.dtype) + folded[axis]
        return index + source.start

    def _image(self, source: Source, whole: list[tf.Tensor], part: list[tf.Tensor]) -> tf.Tensor:
        """Interpolates between the neighbouring pixels, axis by axis."""
        steps, between = _INTERPOLATIONS[self.augmentation.resampling]
        taps = [
            [self._fold(source, axis, low + step) for step in steps]
            for axis, low in enumerate(whole)
        ]

        def along(folded: list[tf.Tensor]) -> tf.Tensor:
            axis = len(folded)
            if axis == self.rank:
                return tf.gather(source.image, self._flat(source, folded))
            values = [along([*folded, index]) for index in taps[axis]]
            return between(values, part[axis][..., None])

        return along([])

    def _grey(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        """In the order of a microscope: optics, response, sensor."""
        values, varies = self._values(draw.uniform), self.augmentation.varies
        if varies("blur"):
            image = intensity.blur(image, values["blur"], self.augmentation.range_of("blur")[1])
        if varies("gamma"):
            image = intensity.vary_gamma(image, values["gamma"])
        if varies("gain", "offset"):
            image = image * values["gain"] + values["offset"]
        if varies("noise"):
            image += values["noise"] * draw.noise
        return image


def _whole_number(value: tf.Tensor) -> tf.Tensor:
    """A float32 that is a whole number in `0..2**23 - 1` as an int32, read from its bits.

    A float32 is a sign, 8 bits of exponent and 23 of fraction. From 2**23 to 2**24 the fraction
    counts in steps of one, so the bits of `2**23 + n` are those of 2**23, 0x4B000000 (exponent
    127 + 23 = 0x96, shifted by 23), plus n: for n = 5 the sum 8388613.0 has the bits 0x4B000005.

    This makes the whole warp a quarter faster than a cast, for which XLA checks for overflow and
    NaN at every pixel.
    """
    return tf.bitcast(value + 2.0**23, tf.int32) - 0x4B000000


def _linear(values: list[tf.Tensor], part: tf.Tensor) -> tf.Tensor:
    low, high = values
    return low + (high - low) * part  # equal values stay what they are


def _cubic(values: list[tf.Tensor], part: tf.Tensor) -> tf.Tensor:
    """Keys' cubic convolution with a = -1/2 (Catmull-Rom).

    As `data.resolution.cubic_weights`, but as a polynomial of `part` by Horner's rule, which takes
    fewer steps at every pixel where each pixel has weights of its own.
    """
    before, low, high, after = values
    slope = (high - before) / 2
    bend = before - 2.5 * low + 2 * high - after / 2
    twist = (after - before) / 2 + 1.5 * (low - high)
    return low + part * (slope + part * (bend + part * twist))


_INTERPOLATIONS = {"linear": ((0, 1), _linear), "cubic": ((-1, 0, 1, 2), _cubic)}


def _float(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(value, tf.float32)


def _normal(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_normal(shape, seed, alg=_ALGORITHM)


@functools.cache
def xla_works() -> bool:
    """Whether XLA compiles a function on this machine's CPU."""
    try:
        with tf.init_scope(), tf.device("CPU:0"):  # also while another graph is being built
            tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros((2,)))
    except (tf.errors.OpError, ValueError):
        return False
    return True


_kept = functools.lru_cache(maxsize=64)(FusedWarp)  # so that a warp is compiled once


def augment(
    augmentation: Augmentation,
    image: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    shape: Sequence[int] | None,
    jit_compile: bool | None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Augments a single image; see `Augmentation.__call__`."""
    image = _float(tf.convert_to_tensor(image))
    labels = tf.convert_to_tensor(labels)
    rank = image.shape.rank - 1
    if rank not in (2, 3) or labels.shape.rank not in (rank, rank + 1):
        raise ValueError(
            "augmentation needs an image (*spatial, C) with two or three spatial axes and labels "
            f"(*spatial) or (*spatial, L). Received: image.shape={image.shape}, "
            f"labels.shape={labels.shape}"
        )
    if not labels.dtype.is_integer:
        raise ValueError(f"labels must be integers. Received: labels.dtype={labels.dtype.name}")
    if not image.shape[:-1].is_compatible_with(labels.shape[:rank]):
        raise ValueError(
            "image and labels must have the same spatial shape. "
            f"Received: image.shape={image.shape}, labels.shape={labels.shape}"
        )
    shape = tuple(shape if shape is not None else image.shape[:-1])
    if None in shape or len(shape) != rank:
        raise ValueError(
            f"the output needs {rank} known sizes: give shape=(...), or images of a known shape. "
            f"Received: shape={shape}, image.shape={image.shape}"
        )
    sizes = tf.shape(image)[:-1]
    flat = tf.reshape(labels, (tf.reduce_prod(sizes), -1))
    if labels.shape.rank == rank:
        flat.set_shape((None, 1))
    source = Source(
        tf.reshape(image, (-1, image.shape[-1])),
        flat,
        tf.constant(0),
        sizes,
        (sizes - shape) // 2,
    )
    image_shape = tuple(image.shape[:-1])
    smallest = None if None in image_shape else image_shape
    fused = _kept(augmentation, shape, smallest=smallest, jit_compile=jit_compile)
    image, warped = fused(source, fused.draw(seed, image.shape[-1]))
    return image, warped[..., 0] if labels.shape.rank == rank else warped
