"""Crops to a size or to another tensor: around the centre, or of the first pixels.

The center crop is the "copy and crop" arrow of a valid U-Net.
"""

from __future__ import annotations

from typing import Any

import keras

from keras_unet.layers.spatial import SpatialLayer


@keras.saving.register_keras_serializable(package="keras_unet")
class CenterCrop(SpatialLayer):
    """Crops the spatial axes around their centre, to a size or to the size of another tensor.

    A valid convolution takes the same number of pixels off both sides, so a skip connection is
    aligned with its partner only if the crop does too. An odd difference has no centre: it is an
    error where sizes are known, and where they are not (a graph traced for any size) the output
    stays one pixel larger than the reference, so that the two cannot be concatenated half a pixel
    out of place.

    Args:
        size: Pixels that are kept, one integer for all spatial axes or one per axis. Defaults to
            None: the layer is called with `[x, reference]` and keeps the size of `reference`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with 1 to 3 spatial axes, or a list of two such shapes of the
        same rank. Sizes may be `None`.

    Output shape:
        The batch and channels of `x`, the spatial shape of `size` or of `reference`.

    Raises:
        ValueError: If `size` is not positive or does not match the rank, if `x` is smaller than the
            kept, or if the difference is odd.

    Example:
        >>> skip, up = np.zeros((1, 64, 68, 512)), np.zeros((1, 56, 60, 512))
        >>> tuple(keras_unet.layers.CenterCrop()([skip, up]).shape)
        (1, 56, 60, 512)
    """

    def __init__(self, size: int | tuple[int, ...] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size is not None:
            size = tuple(size) if isinstance(size, (list, tuple)) else size
            sizes = size if isinstance(size, tuple) else (size,)
            if not sizes or any(not isinstance(n, int) or n < 1 for n in sizes):
                raise ValueError(f"size must be positive integers. Received: size={size}")
        self.size = size

    def call(self, inputs: Any) -> Any:
        """Crops `x`, or the first of `[x, reference]`."""
        x, reference = (inputs, None) if self.size is not None else self._pair(inputs)
        sizes = keras.ops.shape(x)
        kept_sizes = self._kept_sizes(
            sizes, None if reference is None else keras.ops.shape(reference)
        )
        box = [
            self._interval(size, kept) for size, kept in zip(sizes[1:-1], kept_sizes, strict=True)
        ]
        return x[(slice(None), *[slice(start, stop) for start, stop in box], slice(None))]

    def _interval(self, size: Any, kept: Any) -> tuple[Any, Any]:
        """Half-open range of the pixels that are kept along one axis; ints or scalar tensors."""
        margin = (size - kept) // 2
        if isinstance(margin, int) and (margin < 0 or size - 2 * margin != kept):
            raise ValueError(
                "CenterCrop takes the same number of pixels off both sides, so the difference must "
                f"be even and not negative. Received: size={size}, kept={kept}"
            )
        return margin, size - margin

    def _kept_sizes(self, shape: Any, reference: Any) -> tuple[Any, ...]:
        rank = len(shape) - 2
        if reference is not None:
            if len(reference) != len(shape):
                raise ValueError(
                    "x and reference must have the same rank. "
                    f"Received: shapes {tuple(shape)} and {tuple(reference)}"
                )
            return tuple(reference[1:-1])
        kept_sizes = (self.size,) * rank if isinstance(self.size, int) else self.size
        if kept_sizes is None or len(kept_sizes) != rank:
            raise ValueError(
                f"size needs one number for each of the {rank} spatial axes. "
                f"Received: size={self.size}"
            )
        return kept_sizes

    def _pair(self, inputs: Any) -> tuple[Any, Any]:
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(
                f"{type(self).__name__} without a size is called with [x, reference]. "
                f"Received: inputs={inputs}"
            )
        return inputs[0], inputs[1]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape of the crop; `None` where a size is not known."""
        shape, reference = (input_shape, None) if self.size is not None else self._pair(input_shape)
        kept_sizes = self._kept_sizes(shape, reference)
        for size, kept in zip(shape[1:-1], kept_sizes, strict=True):
            if size is not None and kept is not None:
                self._interval(size, kept)
        return (shape[0], *kept_sizes, shape[-1])


@keras.saving.register_keras_serializable(package="keras_unet")
class StartCrop(CenterCrop):
    """Keeps the first pixels of each spatial axis, as many as a size or another tensor says.

    The inverse of `MirrorPadding(multiple=...)`, which pads at the end of each axis. Everything
    else, arguments included, is as in `CenterCrop`; any difference that is not negative will do.

    Args:
        size: Pixels that are kept, one integer for all spatial axes or one per axis. Defaults to
            None: the layer is called with `[x, reference]` and keeps the size of `reference`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Raises:
        ValueError: As `CenterCrop`, but odd differences are fine.

    Example:
        >>> np.asarray(keras_unet.layers.StartCrop(2)(np.arange(5.0)[None, :, None]))[0, :, 0]
        array([0., 1.], dtype=float32)
    """

    def _interval(self, size: Any, kept: Any) -> tuple[Any, Any]:
        if isinstance(size, int) and isinstance(kept, int) and kept > size:
            raise ValueError(
                "StartCrop cannot give more pixels than there are. "
                f"Received: size={size}, kept={kept}"
            )
        return 0, kept
