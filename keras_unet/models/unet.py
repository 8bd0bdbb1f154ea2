"""The U-Net of Ronneberger, Fischer and Brox, and its usual variations."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet._arguments import check_one_of, check_positive, check_rate
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.models.any_size import cut_back, image_input
from keras_unet.models.blocks import Blocks
from keras_unet.models.segmentation_model import SegmentationModel, check_input_shape

VARIANTS = ("paper", "release2015")
UPSAMPLINGS = ("transpose", "bilinear")


@keras.saving.register_keras_serializable(package="keras_unet")
class UNet(SegmentationModel):
    """U-Net: a contracting and an expansive path with skip connections, logits out.

    With its defaults it is the network of the paper (Figure 1): 23 convolutional layers without
    padding, 64 to 1024 channels, 572 x 572 pixels in and 388 x 388 logits out, 31,030,658
    parameters for one input channel and two classes. Weights start from N(0, 2 / N) where N is the
    number of inputs of a neuron, for an up-convolution the number of its input channels.

    `padding="valid"` takes the sizes of `model.geometry` only (`geometry.nearest` finds one) and
    gives the pixels for which all context was seen. `padding="same"` takes any size >= 1 and gives
    the same size: it mirrors the image at the end of each axis to a multiple of `2**depth` and
    crops the logits back; a size that is such a multiple is left as it is.

    What the paper leaves open follows the network file that its authors released: dropout after the
    convolutions of the two deepest levels of the contracting path (the skip connection is taken
    after it), and the up-sampled features first in the concatenation. `variant="release2015"` also
    follows that file where it differs from the paper: ReLU after every up-convolution, the last
    up-convolution keeps its channels (31,100,354 parameters), Caffe's "xavier" initialization.

    Args:
        input_shape: See `SegmentationModel`. Defaults to `(None, None, 1)`.
        filters: Channels of the first level; they double with every level. Defaults to 64.
        depth: Number of poolings. Defaults to 4.
        padding: "valid" or "same". Defaults to "valid".
        variant: "paper" or "release2015". Defaults to "paper".
        normalization: None, "batch" or "group", after every convolution but the up-convolutions.
            Group normalization takes its statistics over the whole tile, so it is not local: tiled
            predictions then depend on the tiles and have seams. Batch normalization is local at
            inference, but poor with batches of fewer than 4. Defaults to None, as in the paper.
        dropout: Rate of the dropout, in [0, 1); 0 leaves it out. Defaults to 0.5.
        upsampling: "transpose" (2x2 up-convolution, the paper) or "bilinear" (needs
            `padding="same"`, because interpolation clamps at the rim). Defaults to "transpose".
        convs_per_level: Convolutions per level of each path. Defaults to 2.
        kernel_size: Odd size of their kernels in pixels. Defaults to 3.
        skip_connections: Whether the expansive path sees the features of the contracting one;
            False is for showing what they are good for. Defaults to True.
        num_classes, activation, dtype, name, trainable: See `SegmentationModel`.

    Attributes:
        geometry: The `UNetGeometry`, also after loading.

    Input shape:
        `(batch, *spatial, channels)`, real numbers, best normalized to a scale near 1.

    Output shape:
        `(batch, *output, num_classes)`, float32 logits; `output` is `geometry.output_size` of each
        spatial size.

    Raises:
        ValueError: If an argument is out of its range, or if a valid network is built with or
            called at a size that it cannot take; the message names the nearest ones.

    Example:
        >>> model = keras_unet.models.UNet(input_shape=(572, 572, 1), num_classes=2)
        >>> model.output_shape, model.count_params(), model.geometry.margin
        ((None, 388, 388, 2), 31030658, 92)
        >>> small = keras_unet.models.UNet(filters=16, depth=3, padding="same")
        >>> tuple(small(np.zeros((1, 100, 85, 1))).shape)
        (1, 100, 85, 2)

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
        He, Zhang, Ren, Sun. "Delving Deep into Rectifiers." ICCV 2015. arXiv:1502.01852
    """

    def __init__(
        self,
        input_shape: tuple[int | None, ...] = (None, None, 1),
        num_classes: int = 2,
        filters: int = 64,
        depth: int = 4,
        padding: str = "valid",
        variant: str = "paper",
        normalization: str | None = None,
        dropout: float = 0.5,
        upsampling: str = "transpose",
        activation: Any = "relu",
        convs_per_level: int = 2,
        kernel_size: int = 3,
        skip_connections: bool = True,
        dtype: Any = None,
        name: str = "unet",
        trainable: bool = True,
    ) -> None:
        # === Arguments ===
        input_shape = check_input_shape(input_shape)
        check_positive(num_classes=num_classes, filters=filters)
        check_one_of("variant", variant, VARIANTS)
        check_rate("dropout", dropout)
        _check_upsampling(upsampling, padding)
        released = variant == "release2015"
        geometry = UNetGeometry(
            depth=depth,
            padding=padding,
            rank=len(input_shape) - 1,
            convs_per_level=convs_per_level,
            kernel_size=kernel_size,
            upsampling_reach=1 if upsampling == "bilinear" else 0,
        )

        # === Layers ===
        blocks = Blocks(
            geometry,
            activation,
            normalization,
            kernel_size,
            convs_per_level,
            initializer="caffe_xavier" if released else "he_normal",
            dtype=dtype,
        )
        up = blocks.up_bilinear if upsampling == "bilinear" else blocks.up_convolution

        # === Functional model ===
        inputs, image = image_input(input_shape, geometry, blocks.dtype)
        x, skips = image, []
        for level in range(depth + 1):
            if level:
                skips.append(x)
                x = blocks.pool(x, f"contract{level}")
            x = blocks.convolutions(x, filters * 2**level, f"contract{level + 1}")
            if level >= depth - 1:
                x = blocks.dropped(x, dropout, f"contract{level + 1}_dropout")
        for level in reversed(range(depth)):
            channels = filters * 2**level
            keeps = released and level == 0
            x = up(x, 2 * channels if keeps else channels, f"expand{level + 1}", activate=released)
            if skip_connections:
                x = blocks.join(x, skips[level], f"expand{level + 1}")
            x = blocks.convolutions(x, channels, f"expand{level + 1}")
        outputs = cut_back(blocks.head(x, num_classes), inputs, image)
        super().__init__(inputs, outputs, geometry, blocks.dtype, name=name, trainable=trainable)


def _check_upsampling(upsampling: str, padding: str) -> None:
    check_one_of("upsampling", upsampling, UPSAMPLINGS)
    if upsampling == "bilinear" and padding == "valid":
        raise ValueError(
            "bilinear up-sampling clamps at the rim of a tile; use it with padding='same', or "
            f"upsampling='transpose'. Received: upsampling={upsampling!r}, padding={padding!r}"
        )
