"""The Deep Residual U-Net of Zhang, Liu and Wang."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet._arguments import check_one_of, check_positive
from keras_unet.geometry.window import WindowGeometry, convolution, margin_of, upsampling
from keras_unet.layers.channel_shortcut import ChannelShortcut
from keras_unet.models.any_size import cut_back, image_input
from keras_unet.models.blocks import Blocks
from keras_unet.models.segmentation_model import SegmentationModel, check_input_shape

SHORTCUTS = ("projection", "identity")


@keras.saving.register_keras_serializable(package="keras_unet")
class ResUNet(SegmentationModel):
    """Deep Residual U-Net: residual units with pre-activation on both paths, logits out.

    Each level of both paths is one unit: BN, ReLU, 3x3 convolution, BN, ReLU, 3x3 convolution, and
    the unit's input added (the first unit starts with its convolution). Where a U-Net pools, the
    first convolution of the unit has stride 2; up-sampling repeats pixels (nearest neighbour), and
    the skip connection is concatenated to it.

    The input of a unit has another number of channels than its output. With `shortcut="projection"`
    a 1x1 convolution (and BN) brings it there, as in the authors' code. The 7.8 million
    parameters that the paper states are those of the network without it, `shortcut="identity"`:
    pixels are skipped, missing channels are zeros and spare ones left out (`ChannelShortcut`).
    The convolutions of its defaults with 3 input channels and one output have 7,782,913 parameters,
    with projections 8,214,593; batch normalization comes on top.

    Deviations: any image size (mirrored at its end to a multiple of `2**depth`, the paper has
    224 px tiles), logits for `num_classes` soft-max classes in place of one sigmoid, and the
    package's initialization (He et al. 2015); the paper trains with a squared error.

    Args:
        input_shape: See `SegmentationModel`. Defaults to `(None, None, 1)`.
        filters: Channels of the first level; they double with every level. Defaults to 64.
        depth: Number of halvings. Defaults to 3.
        normalization: "batch", "group" or None. Defaults to "batch". See `UNet`.
        shortcut: "projection" or "identity". Defaults to "projection".
        num_classes, activation, dtype, name, trainable: See `SegmentationModel`.

    Attributes:
        geometry: A `WindowGeometry` of "same" padding with a stride of `2**depth` px.

    Input shape:
        `(batch, *spatial, channels)`, sizes >= 1 px, best normalized to a scale near 1.

    Output shape:
        `(batch, *spatial, num_classes)`, float32 logits.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = keras_unet.models.ResUNet((None, None, 3), filters=16)
        >>> tuple(model(np.zeros((1, 100, 85, 3))).shape)
        (1, 100, 85, 2)

    Reference:
        Zhang, Liu, Wang. "Road Extraction by Deep Residual U-Net." IEEE Geoscience and Remote
        Sensing Letters 15(5), 2018. doi:10.1109/LGRS.2018.2802944, arXiv:1711.10684
        He, Zhang, Ren, Sun. "Identity Mappings in Deep Residual Networks." ECCV 2016.
        arXiv:1603.05027
    """

    def __init__(
        self,
        input_shape: tuple[int | None, ...] = (None, None, 1),
        num_classes: int = 2,
        filters: int = 64,
        depth: int = 3,
        normalization: str | None = "batch",
        shortcut: str = "projection",
        activation: Any = "relu",
        dtype: Any = None,
        name: str = "res_unet",
        trainable: bool = True,
    ) -> None:
        # === Arguments ===
        input_shape = check_input_shape(input_shape)
        check_positive(num_classes=num_classes, filters=filters, depth=depth)
        check_one_of("shortcut", shortcut, SHORTCUTS)
        geometry = WindowGeometry(
            margin_of(_longest_path(depth), 2**depth), 2**depth, "same", len(input_shape) - 1
        )

        # === Layers ===
        blocks = Blocks(geometry, activation, normalization, dtype=dtype)

        # === Functional model ===
        inputs, image = image_input(input_shape, geometry, blocks.dtype)
        x, skips = image, []
        for level in range(depth + 1):
            if level:
                skips.append(x)
            x = _unit(blocks, x, filters * 2**level, level, shortcut, f"contract{level + 1}")
        for level in reversed(range(depth)):
            layer = f"expand{level + 1}"
            x = blocks.join(blocks.repeat(x, 2, f"{layer}_up"), skips[level], layer)
            x = _unit(blocks, x, filters * 2**level, None, shortcut, layer)
        outputs = cut_back(blocks.head(x, num_classes), inputs, image)
        super().__init__(inputs, outputs, geometry, blocks.dtype, name=name, trainable=trainable)


def _unit(blocks: Blocks, x: Any, filters: int, level: int | None, shortcut: str, name: str) -> Any:
    """A residual unit; on contracting levels below the first it halves the resolution."""
    strides = 2 if level else 1
    start = x
    if level != 0:  # the image itself is neither normalized nor rectified
        x = blocks.activated(blocks.normalized(x, f"{name}_pre1"), f"{name}_pre1")
    x = blocks.convolution(x, filters, 3, f"{name}_conv1", strides=strides)
    x = blocks.activated(blocks.normalized(x, f"{name}_pre2"), f"{name}_pre2")
    x = blocks.convolution(x, filters, 3, f"{name}_conv2")
    # A 1x1 convolution of stride 2 would do the same, but training one crashes TensorFlow 2.21 on a
    # CPU (its gradient writes beyond its memory), so pixels are skipped before it.
    channels = start.shape[-1] if shortcut == "projection" else filters
    if strides > 1 or channels != start.shape[-1]:
        options = {"name": f"{name}_skip", "dtype": blocks.dtype}
        start = ChannelShortcut(channels, strides, **options)(start)
    if shortcut == "projection":
        start = blocks.convolution(start, filters, 1, f"{name}_shortcut")
        start = blocks.normalized(start, f"{name}_shortcut")
    return keras.layers.Add(name=f"{name}_add", dtype=blocks.dtype)([x, start])


def _longest_path(depth: int) -> list[Any]:
    """What the layers read, from the logits up to the image."""
    up = [convolution(3), convolution(3), upsampling(2)]
    down = [convolution(3), convolution(3, stride=2)]
    return up * depth + down * depth + [convolution(3)] * 2
