"""Augmentation: which random warps and grey-value changes a training image goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from keras_unet._arguments import check_one_of
from keras_unet.augmentation.ranges import Range, SpatialRanges
from keras_unet.objects.instance_maps import check_spacing

if TYPE_CHECKING:
    import tensorflow as tf

RESAMPLINGS = ("linear", "cubic")


@dataclass(frozen=True)
class Augmentation(SpatialRanges):
    """Random elastic deformation, rotation, flips and grey-value changes of microscope images.

    All spatial changes are one field, sampled once straight to the output: images by linear (or
    cubic) interpolation, label maps by their nearest pixel, which keeps every id. Beyond its border
    an image is continued by its mirror image. The defaults are for microscopy, where a field of
    view has no preferred orientation: the paper's deformation, any rotation, flips, and a mild
    grey-value variation; the authors' later software varies about as much. Neither of them scales,
    blurs or adds noise, so those are off.

    The field is a spline through normal random displacements on a coarse grid. Close knots with
    large displacements would fold the image over itself, so along an axis with fewer than 192
    pixels (3 bicubic knots, `sigma=10`) `sigma` shrinks in proportion to the size; `sigma_for`
    tells the value in use.

    Where an argument takes a range, a pair `(low, high)` gives it directly and a number `x` means
    `-x..x` (rotation, shift, offset), `1/x..x` drawn log-uniformly (scale, gamma, gain) or `0..x`
    (noise, blur). One number is drawn for each image.

    Args:
        grid: Knots of the deformation along each axis, one number or one per axis. Defaults to 3.
        sigma: Standard deviation of the displacements at the knots in pixels, one number or one
            per axis; 0 switches the deformation off. Defaults to 10.
        interpolation: "bicubic", the natural cubic spline through the displacements (about 7.7 px
            over all pixels for the defaults), or "bspline", their cubic B-spline as in the
            authors' later software (about 4.8 px, smoother). Defaults to "bicubic", the paper's.
        rotation: Degrees, in the plane of the last two axes. Defaults to 180, any angle.
        flip: Whether each axis is flipped half of the time, one value or one per axis. Defaults to
            True.
        rot90: Whether the last two axes are turned by a random number of quarter turns, which is
            exact where `rotation` interpolates. Defaults to False: `rotation` includes it.
        scale: Magnification of the objects. Defaults to 1, none.
        shift: Pixels, in addition to the random position of a tile. Defaults to 0.
        gamma: Exponent that bends the grey values between each channel's lowest and highest value
            of the tile, which stay what they are. Defaults to 1.25.
        gain: Factor on the grey values. Defaults to 1.1.
        offset: Added to the (normalized) grey values. Defaults to 0.05.
        noise: Standard deviation of added normal noise, in normalized grey values. Defaults to 0.
        blur: Standard deviation of a Gaussian blur in pixels. Defaults to 0.
        resampling: "linear" or "cubic" (Catmull-Rom, sharper, about three times as slow) for the
            image. Defaults to "linear".
        spacing: Physical size of a pixel along each axis, any unit, where pixels are no squares or
            voxels no cubes: `sigma` and `shift` are then in pixels of the axis with the smallest
            ones, and rotations keep angles and lengths. Blur stays in pixels of every axis, and
            quarter turns of an uneven plane interpolate. Defaults to None, all the same.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> augmentation = Augmentation(sigma=8.0, scale=1.2, blur=(0.0, 1.5))
        >>> augmentation.range_of("scale"), augmentation.sigma_for((512, 512))
        ((0.8333333333333334, 1.2), (8.0, 8.0))

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """

    gamma: Range = 1.25
    gain: Range = 1.1
    offset: Range = 0.05
    noise: Range = 0.0
    blur: Range = 0.0
    resampling: str = "linear"
    spacing: tuple[float, ...] | None = None

    SYMMETRIC: ClassVar[tuple[str, ...]] = (*SpatialRanges.SYMMETRIC, "offset")
    RATIOS: ClassVar[tuple[str, ...]] = (*SpatialRanges.RATIOS, "gamma", "gain")
    MAGNITUDES: ClassVar[tuple[str, ...]] = ("noise", "blur")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("resampling", self.resampling, RESAMPLINGS)
        check_spacing(self.spacing)

    @classmethod
    def none(cls) -> Augmentation:
        """No change at all: pixels come out as they went in."""
        return cls(sigma=0.0, rotation=0.0, flip=False, gamma=1.0, gain=1.0, offset=0.0)

    def pixel_sizes(self, rank: int) -> tuple[float, ...]:
        """Size of a pixel along each axis, in units of the smallest one."""
        if self.spacing is None:
            return (1.0,) * rank
        sizes = self.per_axis("spacing", rank)
        return tuple(float(size) / min(sizes) for size in sizes)

    def varies(self, *names: str) -> bool:
        """Whether any of these range arguments does something."""
        neutral = {name: 1.0 if name in self.RATIOS else 0.0 for name in names}
        return any(self.range_of(name) != (neutral[name],) * 2 for name in names)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Augmentation:
        """Makes the augmentation from `get_config`."""
        return cls(**config)

    def __call__(
        self,
        image: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        shape: Sequence[int] | None = None,
        jit_compile: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Augments one image and its label map, for a `tf.data` pipeline of your own.

        All randomness comes from `seed`: the same seed gives the same bits, in parallel or one
        after the other. Inside `tf.data`, count elements *after* `repeat` so that every epoch
        gets other seeds.

        Args:
            image: `(*spatial, C)`, two or three spatial axes, any real dtype; normalize it before,
                the grey-value ranges are meant for values of about 0..1.
            labels: `(*spatial)` or `(*spatial, L)` integers: instance ids, classes, or several
                such maps.
            seed: Two integers, `(2,)`.
            shape: Spatial shape of the output, cut from the centre (or mirrored around it).
                Defaults to None, the image's own, which must then be known when the graph is
                built.
            jit_compile: Whether XLA compiles the warp, several times as fast; needs images of few
                different sizes, as each is compiled once. Defaults to None: where XLA works.

        Returns:
            `(image, labels)`: float32 and the labels' dtype.

        Example:
            >>> import numpy as np, tensorflow as tf
            >>> image, instances = np.zeros((64, 48, 1)), np.zeros((64, 48), "int32")
            >>> ds = tf.data.Dataset.from_tensors((image, instances)).repeat(5).enumerate()
            >>> ds = ds.map(lambda i, pair: Augmentation()(*pair, seed=[0, i]))
            >>> next(iter(ds))[0].shape
            TensorShape([64, 48, 1])
        """
        from keras_unet.augmentation.fused_warp import augment

        return augment(self, image, labels, seed, shape, jit_compile)
