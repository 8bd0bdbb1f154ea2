"""Mirror padding of any amount, at sizes that are known only when the graph runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_positive
from keras_unet.augmentation.field import mirror_fold
from keras_unet.layers.spatial import SpatialLayer


@keras.saving.register_keras_serializable(package="keras_unet")
class MirrorPadding(SpatialLayer):
    """Extrapolates an image beyond its borders by mirroring, as the paper's overlap-tile strategy.

    The mirror stands on the border pixel, which is not repeated (NumPy's `mode="reflect"`):
    `a b c` becomes `c b [a b c] b a`. Where the padding exceeds the image the mirror image is
    mirrored again, and a single pixel is repeated, so every size >= 1 can be padded by any amount;
    `keras.ops.pad(mode="reflect")` and `tf.pad` cannot do that.

    Exactly one of the two arguments says how much is padded.

    Args:
        padding: Pixels, one integer for all sides, or for each spatial axis an integer or a pair
            `(before, after)`. Defaults to None.
        multiple: Pads at the end of each axis to the next multiple of this many pixels, and not at
            all where the size is one already. Pixel 0 stays where it is, so that the phase of a
            pooling grid does not depend on the image's size. Defaults to None.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, *spatial, channels)` with 1 to 3 spatial axes; sizes may be `None`.

    Output shape:
        The same with larger spatial axes; `None` stays `None`.

    Raises:
        ValueError: If not exactly one argument is given, if one is out of its range, or if
            `padding` does not match the rank.

    Example:
        >>> x = np.arange(3.0)[None, :, None]
        >>> np.asarray(keras_unet.layers.MirrorPadding(padding=((1, 4),))(x))[0, :, 0]
        array([1., 0., 1., 2., 1., 0., 1., 2.], dtype=float32)

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015, Figure 2. doi:10.1007/978-3-319-24574-4_28
    """

    def __init__(
        self,
        padding: int | Sequence[int | Sequence[int]] | None = None,
        multiple: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (padding is None) == (multiple is None):
            raise ValueError(
                f"give either padding or multiple. Received: padding={padding}, multiple={multiple}"
            )
        if multiple is not None:
            check_positive(multiple=multiple)
        if isinstance(padding, (list, tuple)):
            padding = tuple(_pairs(padding, rank=len(padding)))
        elif padding is not None:
            _pairs([padding], rank=1)
        self.padding = padding
        self.multiple = multiple

    def call(self, inputs: Any) -> Any:
        """Pads `inputs`."""
        shape = ops.shape(inputs)
        outputs = inputs
        for axis, (before, after) in enumerate(self._amounts(shape[1:-1]), start=1):
            if isinstance(after, int) and before == after == 0:
                continue
            around = ops.arange(-before, shape[axis] + after, dtype="int32")
            outputs = ops.take(outputs, mirror_fold(around, shape[axis]), axis=axis)
        return outputs

    def _amounts(self, sizes: Sequence[Any]) -> list[tuple[Any, ...]]:
        """(before, after) along each axis; ints, scalar tensors, or None for unknown sizes."""
        if self.padding is not None:
            return _pairs(self.padding, rank=len(sizes))
        # Never the remainder of a negative number: ONNX rounds it to the other side.
        m = self.multiple
        return [(0, None if size is None else (m - size % m) % m) for size in sizes]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape after padding; `None` where a size is not known."""
        sizes = input_shape[1:-1]
        padded = [
            None if size is None else before + size + after
            for size, (before, after) in zip(sizes, self._amounts(sizes), strict=True)
        ]
        return (input_shape[0], *padded, input_shape[-1])


def _pairs(padding: Any, rank: int) -> list[tuple[int, ...]]:
    """The padding as one (before, after) pair per axis, checked."""
    axes = [padding] * rank if isinstance(padding, int) else list(padding)
    pairs = [tuple(a) if isinstance(a, (list, tuple)) else (a, a) for a in axes]
    valid = all(
        len(pair) == 2 and all(isinstance(n, int) and n >= 0 for n in pair) for pair in pairs
    )
    if len(pairs) != rank or not rank or not valid:
        raise ValueError(
            "padding must be an integer >= 0, or for each spatial axis such an integer or a pair "
            f"of them. Received: padding={padding} for {rank} spatial axes"
        )
    return pairs
