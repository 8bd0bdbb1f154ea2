"""The V-Net of Milletari, Navab and Ahmadi."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet._arguments import check_one_of, check_positive
from keras_unet.geometry.window import WindowGeometry, convolution, margin_of, upsampling
from keras_unet.layers.channel_shortcut import ChannelShortcut
from keras_unet.models.any_size import cut_back, image_input
from keras_unet.models.blocks import Blocks
from keras_unet.models.segmentation_model import SegmentationModel, check_input_shape

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "paper": ((1, 2, 3, 3, 3), (3, 3, 2, 1)),
    "release": ((1, 1, 2, 3, 3), (3, 2, 1, 1)),
}
"""Convolutions of every stage, down and up again."""


@keras.saving.register_keras_serializable(package="keras_unet")
class VNet(SegmentationModel):
    """V-Net: residual stages of 5x5x5 convolutions, strided ones between them, logits out.

    A stage is one to three 5x5x5 convolutions, and its input is added before the last
    non-linearity (the image, repeated to the number of channels, in the first stage). Between the
    stages of the left path a 2x2x2 convolution of stride 2 halves the resolution and doubles the
    channels, on the right path a transposed one doubles the resolution; there the features of the
    left path are concatenated, so that right stages work at twice the width. All non-linearities
    are PReLU with a slope for each channel.

    `variant="paper"` has the numbers of convolutions of the paper's Figure 2 and a 1x1x1 head,
    65,175,314 parameters for one input channel and two classes; `variant="release"` those of the
    network file that the authors released, whose head is a 5x5x5 convolution and a 1x1x1 one,
    61,982,682 parameters.

    Deviations: any image size (mirrored at its end to a multiple of `2**depth`, the paper has
    volumes of 128 x 128 x 64 voxels); the rank is that of `input_shape`; a normalization may be
    added. Train it with Dice as in the paper: `keras_unet.losses.SoftDice`.

    Args:
        input_shape: See `SegmentationModel`. Defaults to `(None, None, None, 1)`.
        filters: Channels of the first stage; they double with every stage. Defaults to 16.
        depth: Number of halvings, 1 to 4; smaller ones leave the deepest stages out. Defaults to 4.
        variant: "paper" or "release". Defaults to "paper".
        normalization: None, "batch" or "group", after every 5x5x5 convolution. Defaults to None, as
            in the paper. See `UNet`.
        margin: Context in voxels on each side that tiles see around what they write, a multiple of
            `2**depth`; None for all that the network could read, 288 voxels with the defaults, so
            that tiles agree with a single pass exactly. Voxels that far away have hardly any
            influence, and reading them would be most of the work. Defaults to 32.
        num_classes, dtype, name, trainable: See `SegmentationModel`.

    Attributes:
        geometry: A `WindowGeometry` of "same" padding with a stride of `2**depth` voxels.

    Input shape:
        `(batch, *spatial, channels)`, sizes >= 1, best normalized to a scale near 1.

    Output shape:
        `(batch, *spatial, num_classes)`, float32 logits.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = keras_unet.models.VNet(filters=4, depth=2)
        >>> tuple(model(np.zeros((1, 30, 17, 9, 1))).shape)
        (1, 30, 17, 9, 2)

    Reference:
        Milletari, Navab, Ahmadi. "V-Net: Fully Convolutional Neural Networks for Volumetric
        Medical Image Segmentation." 3DV 2016. doi:10.1109/3DV.2016.79, arXiv:1606.04797
    """

    def __init__(
        self,
        input_shape: tuple[int | None, ...] = (None, None, None, 1),
        num_classes: int = 2,
        filters: int = 16,
        depth: int = 4,
        variant: str = "paper",
        normalization: str | None = None,
        margin: int | None = 32,
        dtype: Any = None,
        name: str = "vnet",
        trainable: bool = True,
    ) -> None:
        # === Arguments ===
        input_shape = check_input_shape(input_shape)
        check_positive(num_classes=num_classes, filters=filters, depth=depth)
        check_one_of("variant", variant, tuple(CONVOLUTIONS))
        if depth > 4:
            raise ValueError(f"depth must be between 1 and 4. Received: depth={depth}")
        left, right = CONVOLUTIONS[variant]
        left, right = left[: depth + 1], right[-depth:]
        if margin is None:
            margin = margin_of(_longest_path(left, right, variant), 2**depth)
        geometry = WindowGeometry(margin, 2**depth, "same", len(input_shape) - 1)

        # === Layers ===
        blocks = Blocks(geometry, "prelu", normalization, kernel_size=5, dtype=dtype)

        # === Functional model ===
        inputs, image = image_input(input_shape, geometry, blocks.dtype)
        x, skips = image, []
        for level, count in enumerate(left):
            if level:
                skips.append(x)
                x = blocks.convolution(x, filters * 2**level, 2, f"left{level}_down", strides=2)
                x = blocks.activated(x, f"left{level}_down")
            x = _stage(blocks, x, filters * 2**level, count, f"left{level + 1}")
        for level, count in zip(reversed(range(depth)), right, strict=True):
            x = blocks.up_convolution(x, filters * 2**level, f"right{level + 1}", activate=True)
            x = blocks.join(x, skips[level], f"right{level + 1}")
            x = _stage(blocks, x, filters * 2 ** (level + 1), count, f"right{level + 1}")
        if variant == "release":
            x = blocks.convolution(x, num_classes, 5, "head")
            x = blocks.activated(x, "head")
        outputs = cut_back(blocks.head(x, num_classes), inputs, image)
        super().__init__(inputs, outputs, geometry, blocks.dtype, name=name, trainable=trainable)


def _stage(blocks: Blocks, x: Any, filters: int, count: int, name: str) -> Any:
    """Convolutions, and their input added before the last non-linearity."""
    start = x
    if start.shape[-1] != filters:
        options = {"name": f"{name}_repeat", "dtype": blocks.dtype}
        start = ChannelShortcut(filters, fill="repeat", **options)(start)
    for number in range(1, count + 1):
        layer = f"{name}_conv{number}"
        x = blocks.normalized(blocks.convolution(x, filters, 5, layer), layer)
        if number == count:
            x = keras.layers.Add(name=f"{name}_add", dtype=blocks.dtype)([x, start])
        x = blocks.activated(x, layer)
    return x


def _longest_path(left: tuple[int, ...], right: tuple[int, ...], variant: str) -> list[Any]:
    """What the layers read, from the logits up to the image."""
    path = [convolution(5)] if variant == "release" else []
    for count in reversed(right):
        path += [convolution(5)] * count + [upsampling(2)]
    for count in reversed(left):
        path += [convolution(5)] * count + [convolution(2, stride=2)]
    return path[:-1]
