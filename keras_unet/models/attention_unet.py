"""The Attention U-Net of Oktay et al."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet._arguments import check_positive, check_rate
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.layers.upsampling import BilinearUpsampling
from keras_unet.models.any_size import cut_back, image_input
from keras_unet.models.blocks import Blocks
from keras_unet.models.segmentation_model import SegmentationModel, check_input_shape


@keras.saving.register_keras_serializable(package="keras_unet")
class AttentionUNet(SegmentationModel):
    """U-Net whose skip connections pass an additive attention gate, logits out.

    The gate of a level weighs every pixel of the skip connection with a number in (0, 1) before it
    is concatenated. It is computed from the skip connection x and the features g of the level
    below, on the grid of g:

        a = up(sigmoid(psi(relu(W_x x + W_g g + b)))),    skip = W_out(a * x)

    where W_x is a 2x2 convolution of stride 2, W_g, psi and W_out are 1x1 convolutions, and `up` is
    linear interpolation. `gate<level>_attention` in `model.layers` gives the maps to look at.

    Deviations: the paper's network is 3-D with deep supervision; here the rank is that of
    `input_shape` and there is one output. Up-sampling is the U-Net's up-convolution; the channels
    inside a gate are half of the skip connection's, as in later code.

    Args:
        input_shape: See `SegmentationModel`. Defaults to `(None, None, 1)`.
        filters: Channels of the first level; they double with every level. Defaults to 64.
        depth: Number of poolings, at least 1. Defaults to 4.
        normalization: None, "batch" or "group", after every convolution of the two paths and after
            W_out. Defaults to "batch". See `UNet`.
        dropout: Rate of the dropout at the end of the contracting path, in [0, 1). Defaults to 0.
        num_classes, activation, dtype, name, trainable: See `SegmentationModel`.

    Attributes:
        geometry: The `UNetGeometry` of "same" padding.

    Input shape:
        `(batch, *spatial, channels)`, sizes >= 1 px, best normalized to a scale near 1.

    Output shape:
        `(batch, *spatial, num_classes)`, float32 logits.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = keras_unet.models.AttentionUNet(filters=16)
        >>> tuple(model(np.zeros((1, 100, 85, 1))).shape)
        (1, 100, 85, 2)

    Reference:
        Oktay et al. "Attention U-Net: Learning Where to Look for the Pancreas." MIDL 2018.
        arXiv:1804.03999
    """

    def __init__(
        self,
        input_shape: tuple[int | None, ...] = (None, None, 1),
        num_classes: int = 2,
        filters: int = 64,
        depth: int = 4,
        normalization: str | None = "batch",
        dropout: float = 0.0,
        activation: Any = "relu",
        dtype: Any = None,
        name: str = "attention_unet",
        trainable: bool = True,
    ) -> None:
        # === Arguments ===
        input_shape = check_input_shape(input_shape)
        check_positive(num_classes=num_classes, filters=filters, depth=depth)
        check_rate("dropout", dropout)
        # The gates interpolate linearly, which reaches farther than an up-convolution.
        geometry = UNetGeometry(depth, "same", len(input_shape) - 1, upsampling_reach=1)

        # === Layers ===
        blocks = Blocks(geometry, activation, normalization, dtype=dtype)

        # === Functional model ===
        inputs, image = image_input(input_shape, geometry, blocks.dtype)
        x, skips = image, []
        for level in range(depth + 1):
            if level:
                skips.append(x)
                x = blocks.pool(x, f"contract{level}")
            x = blocks.convolutions(x, filters * 2**level, f"contract{level + 1}")
        x = blocks.dropped(x, dropout, "contract_dropout")
        for level in reversed(range(depth)):
            skip = _gate(blocks, skips[level], x, f"gate{level + 1}")
            x = blocks.up_convolution(x, filters * 2**level, f"expand{level + 1}")
            x = blocks.join(x, skip, f"expand{level + 1}")
            x = blocks.convolutions(x, filters * 2**level, f"expand{level + 1}")
        outputs = cut_back(blocks.head(x, num_classes), inputs, image)
        super().__init__(inputs, outputs, geometry, blocks.dtype, name=name, trainable=trainable)


def _gate(blocks: Blocks, skip: Any, below: Any, name: str) -> Any:
    """The skip connection, weighted by what the level below sees."""
    layers, options = keras.layers, {"dtype": blocks.dtype}
    channels = skip.shape[-1]
    inner = max(channels // 2, 1)
    from_skip = blocks.convolution(skip, inner, 2, f"{name}_x", strides=2, use_bias=False)
    from_below = blocks.convolution(below, inner, 1, f"{name}_g")
    summed = layers.Add(name=f"{name}_add", **options)([from_skip, from_below])
    summed = layers.Activation("relu", name=f"{name}_relu", **options)(summed)
    attention = blocks.convolution(summed, 1, 1, f"{name}_psi")
    attention = layers.Activation("sigmoid", name=f"{name}_sigmoid", **options)(attention)
    attention = BilinearUpsampling(2, name=f"{name}_attention", **options)(attention)
    gated = layers.Multiply(name=f"{name}_gated", **options)([skip, attention])
    return blocks.normalized(blocks.convolution(gated, channels, 1, f"{name}_out"), f"{name}_out")
