"""Fully convolutional networks of Long, Shelhamer and Darrell: FCN-32s, FCN-16s, FCN-8s."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_unet._arguments import check_one_of, check_positive, check_rate
from keras_unet.geometry.window import Reads, WindowGeometry, convolution, margin_of, up_convolution
from keras_unet.layers.bilinear_up_convolution import BilinearUpConvolution, bilinear_kernel
from keras_unet.models.any_size import cut_back, image_input
from keras_unet.models.blocks import Blocks
from keras_unet.models.segmentation_model import SegmentationModel, check_input_shape

VARIANTS = ("32s", "16s", "8s")
SCORES = ("zeros", "he_normal")
STRIDE = 32
PAD = 100
"""Zeros around the image: they make room for the 7x7 convolution."""
BODY = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))
"""VGG-16: width in units of `filters`, and number of convolutions, before every pooling."""
LAST_CROP = {"32s": (19, 45), "16s": (27, 53), "8s": (31, 57)}
SKIP_CROP = {4: (5, 4), 3: (9, 6)}
"""What is cut off before and behind the scores, of sizes for images of a multiple of 32 px."""


@keras.saving.register_keras_serializable(package="keras_unet")
class FCN(SegmentationModel):
    """Fully convolutional network on VGG-16's body, logits out.

    The body halves the resolution five times; its two fully connected layers are convolutions, and
    a 1x1 convolution scores the classes once for every 32 pixels. `variant="32s"` interpolates
    these scores to the image's size in one go. "16s" doubles them first and adds scores of pool4,
    "8s" doubles once more and adds scores of pool3. The last interpolation is fixed to bilinear
    kernels, as in the authors' code.

    With its defaults and 3 input channels the three have 134,268,738, 134,269,764 and 134,270,278
    parameters for 2 classes (134,346,581, 134,357,354 and 134,362,751 for 21). A slim one for
    training from scratch has, for instance, `filters=16, units=256`.

    Deviations: images of any size are mirrored at their end to a multiple of 32 px; VGG-16's
    weights from photographs, with which the authors start, do not come with the package; a
    normalization may be added. The paper trains 32s, then 16s from it, then 8s, one image at a time
    with a momentum of 0.99 and an unnormalized loss.

    Args:
        input_shape: See `SegmentationModel`. Defaults to `(None, None, 3)`.
        filters: Channels of the first convolutions; the others have 2, 4, 8 and 8 times as many.
            Defaults to 64.
        variant: "32s", "16s" or "8s". Defaults to "8s".
        units: Channels of the two fully connected layers. Defaults to None, `64 * filters`.
        normalization: None, "batch" or "group", after every convolution of the body. Defaults to
            None. See `UNet`.
        dropout: Rate of the dropout after the two fully connected layers, in [0, 1). Defaults to
            0.5.
        learned_upsampling: Whether the up-convolutions are trained, from bilinear kernels. Defaults
            to False.
        score_initializer: "zeros", as the authors have it, or "he_normal". Defaults to "zeros".
        num_classes, activation, dtype, name, trainable: See `SegmentationModel`.

    Attributes:
        geometry: A `WindowGeometry` of "same" padding with a stride of 32 px.

    Input shape:
        `(batch, *spatial, channels)`, sizes >= 1 px, best normalized to a scale near 1.

    Output shape:
        `(batch, *spatial, num_classes)`, float32 logits.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = keras_unet.models.FCN(filters=16, units=256, variant="32s")
        >>> tuple(model(np.zeros((1, 100, 85, 3))).shape)
        (1, 100, 85, 2)

    Reference:
        Long, Shelhamer, Darrell. "Fully Convolutional Networks for Semantic Segmentation."
        CVPR 2015. doi:10.1109/CVPR.2015.7298965, arXiv:1411.4038
        Simonyan, Zisserman. "Very Deep Convolutional Networks for Large-Scale Image Recognition."
        ICLR 2015. arXiv:1409.1556
    """

    def __init__(
        self,
        input_shape: tuple[int | None, ...] = (None, None, 3),
        num_classes: int = 2,
        filters: int = 64,
        variant: str = "8s",
        units: int | None = None,
        normalization: str | None = None,
        dropout: float = 0.5,
        learned_upsampling: bool = False,
        score_initializer: str = "zeros",
        activation: Any = "relu",
        dtype: Any = None,
        name: str = "fcn",
        trainable: bool = True,
    ) -> None:
        # === Arguments ===
        input_shape = check_input_shape(input_shape)
        check_positive(num_classes=num_classes, filters=filters)
        check_positive(units=64 * filters if units is None else units)
        check_one_of("variant", variant, VARIANTS)
        check_one_of("score_initializer", score_initializer, SCORES)
        check_rate("dropout", dropout)
        margin = max(margin_of(path, STRIDE) for path in _paths(variant))
        geometry = WindowGeometry(margin, STRIDE, "same", len(input_shape) - 1)

        # === Functional model ===
        blocks = Blocks(geometry, activation, normalization, dtype=dtype)
        heads = _Scores(blocks, num_classes, score_initializer, learned_upsampling)
        inputs, image = image_input(input_shape, geometry, blocks.dtype)
        pools = _body(blocks, image, filters)
        x = _fully_connected(blocks, pools[-1], 64 * filters if units is None else units, dropout)
        logits = heads.interpolated(heads.score(x, "fr"), pools, variant)
        outputs = cut_back(logits, inputs, image)
        super().__init__(inputs, outputs, geometry, blocks.dtype, name=name, trainable=trainable)


def _body(blocks: Blocks, x: Any, filters: int) -> list[Any]:
    """Outputs of the five poolings."""
    zeros = getattr(keras.layers, f"ZeroPadding{blocks.geometry.rank}D")
    x = zeros(PAD, name="pad", dtype=blocks.dtype)(x)
    pools = []
    for stage, (width, count) in enumerate(BODY, start=1):
        for number in range(1, count + 1):
            padding = "valid" if stage == number == 1 else "same"
            x = blocks.convolved(x, width * filters, 3, f"conv{stage}_{number}", padding=padding)
        x = blocks.pool(x, f"stage{stage}", padding="same")
        pools.append(x)
    return pools


def _fully_connected(blocks: Blocks, x: Any, units: int, dropout: float) -> Any:
    for name, size in (("fc6", 7), ("fc7", 1)):
        x = blocks.convolved(x, units, size, name, padding="valid")
        x = blocks.dropped(x, dropout, f"{name}_dropout")
    return x


class _Scores:
    """Class scores of features, and their way up to the image's size; all in float32."""

    def __init__(self, blocks: Blocks, num_classes: int, initializer: str, learned: bool) -> None:
        self.blocks, self.num_classes = blocks, num_classes
        self.initializer, self.learned = initializer, learned

    def score(self, x: Any, name: str) -> Any:
        options: dict[str, Any] = {"padding": "valid", "initializer": self.initializer}
        name = f"score_{name}"
        return self.blocks.convolution(x, self.num_classes, 1, name, dtype="float32", **options)

    def up(self, x: Any, factor: int, name: str) -> Any:
        name = f"up_{name}"
        if not self.learned:
            return BilinearUpConvolution(factor, name=name, dtype="float32")(x)
        rank, classes = self.blocks.geometry.rank, self.num_classes
        kernel = bilinear_kernel(factor)
        for axis in range(1, rank):
            kernel = kernel[..., None] * bilinear_kernel(factor).reshape((1,) * axis + (-1,))
        kernel = kernel.reshape(*kernel.shape, 1, 1) * np.eye(classes, dtype="float32")
        options = {"strides": factor, "use_bias": False, "name": name, "dtype": "float32"}
        up = self.blocks.ranked("Conv{}DTranspose", classes, 2 * factor, **options)
        outputs = up(x)
        up.set_weights([kernel])
        return outputs

    def crop(self, x: Any, ends: tuple[int, int], name: str) -> Any:
        rank = self.blocks.geometry.rank
        layer = getattr(keras.layers, f"Cropping{rank}D")
        ends_of_axes = ends if rank == 1 else (ends,) * rank
        return layer(ends_of_axes, name=name, dtype="float32")(x)

    def interpolated(self, score: Any, pools: list[Any], variant: str) -> Any:
        factor = STRIDE
        for stage in range(4, {"32s": 4, "16s": 3, "8s": 2}[variant], -1):
            skip = self.score(pools[stage - 1], f"pool{stage}")
            skip = self.crop(skip, SKIP_CROP[stage], f"crop_pool{stage}")
            add = keras.layers.Add(name=f"fuse_pool{stage}", dtype="float32")
            score = add([self.up(score, 2, f"to_pool{stage}"), skip])
            factor //= 2
        return self.crop(self.up(score, factor, "to_image"), LAST_CROP[variant], "crop_scores")


def _paths(variant: str) -> list[list[Reads]]:
    """What the layers read from the logits up to the image, along every way."""

    def pools(last: int) -> list[Reads]:
        path = []
        for stage in range(last, 0, -1):
            path += [convolution(2, stride=2, before=0), *[convolution(3)] * BODY[stage - 1][1]]
        return [*path[:-1], convolution(3, before=PAD)]

    factor = {"32s": 32, "16s": 16, "8s": 8}[variant]
    above: list[Reads] = [convolution(1, before=-LAST_CROP[variant][0]), up_convolution(factor)]
    paths = []
    for stage in range({32: 5, 16: 4, 8: 3}[factor], 5):
        paths.append([*above, convolution(1, before=-SKIP_CROP[stage][0]), *pools(stage)])
        above = [*above, up_convolution(2)]
    return [*paths, [*above, convolution(7, before=0), *pools(5)]]
