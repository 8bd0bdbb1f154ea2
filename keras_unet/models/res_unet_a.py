"""ResUNet-a: a residual U-Net with parallel atrous convolutions and conditioned multitasking."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet._arguments import check_one_of, check_positive
from keras_unet.geometry.window import Reads, WindowGeometry, convolution, margin_of, upsampling
from keras_unet.models.any_size import cut_back, image_input
from keras_unet.models.atrous_blocks import AtrousBlocks
from keras_unet.models.segmentation_model import SegmentationModel, check_input_shape

_ALL, _THREE, _NEAR, _ONE = (1, 3, 15, 31), (1, 3, 15), (1, 3, 5), (1,)

# Dilations of every level from full resolution downwards: (encoder, decoder).
VARIANTS = {
    "d6": ((_ALL, _ALL, _THREE, _NEAR, _ONE, _ONE), (_ALL, _ALL, _ALL, _THREE, _NEAR)),
    "d7": (
        (_ALL, _ALL, _THREE, _NEAR, _ONE, _ONE, _ONE),
        (_ALL, _ALL, _ALL, _ALL, _THREE, _ONE),
    ),
}
HEADS = ("segmentation", "boundary", "distance")
"""What `training_model()` gives with `multitask`, side by side."""


@keras.saving.register_keras_serializable(package="keras_unet")
class ResUNetA(SegmentationModel):
    """ResUNet-a: residual blocks of parallel atrous convolutions in a U-Net, logits out.

    A 1x1 convolution to `filters` channels, then 6 ("d6") or 7 ("d7") levels that double them. A
    level's block adds to its input, for each of its dilations, two pre-activated 3x3 convolutions:
    dilations 1, 3, 15 and 31 at the finest levels, fewer below. Convolutions with stride 2 lead
    down; up-sampling by repetition, 1x1 convolution and concatenation lead up. Pyramid pooling (the
    maxima over windows of four sizes beside the features) closes the encoder and the decoder.

    The paper pools over the whole map and its halves, quarters and eighths, so that a pixel's logit
    depends on the size of the tile, and tiles have seams. Here the windows are those of a tile of
    `window` pixels wherever the image ends: they lie on a grid that starts at pixel 0, the image is
    mirrored at the end of each axis to a multiple of `window`, and the logits are cropped back. For
    images of just `window` pixels this is the paper's network. It is local, but could read 1,792
    pixels on each side ("d6"; 2,304 for "d7"; one window more with `multitask`); see `margin`.
    Take a smaller window for small images, such as 64 (or 32, "d6" only). Dilations that reach
    beyond a small map see zeros there.

    What the paper leaves open follows the network that its authors released: 3x3 kernels in the
    convolutions with stride 2, half the level's channels from the up-sampling, biases only in the
    second convolution of a residual block and in the heads, and for "d7" a bridge with three
    windows. Gradients shrink about fivefold with every level; an optimizer that scales them, such
    as Adam, suits. With batch normalization the largest window gives one number for each image and
    channel, so that batches of a single image teach nothing about it.

    **Multitasking**: with `multitask=True` the segmentation is conditioned as in the paper. A head
    predicts the distance of every pixel to the edge of its object from the decoder's features
    (before the pyramid pooling, as released), one the boundaries from the pooled features and the
    distances, and the segmentation sees the pooled features, boundaries and distances. The model
    itself gives the segmentation alone. `training_model()` gives all three side by side, for a
    target that learns them; `multitask_model()` also gives the colours, for your own training.

    Args:
        input_shape: See `SegmentationModel`. Defaults to `(None, None, 3)`.
        filters: Channels of the first level; they double with every level. Defaults to 32.
        variant: "d6" or "d7", the number of levels. Defaults to "d6".
        normalization: "batch", "group" or None. Group normalization takes its statistics over the
            whole tile, so it is not local: tiled predictions then have seams. Defaults to "batch".
        window: Size of the largest window in pixels of the image, a multiple of 32 ("d6") or 64
            ("d7"). The bridge pools over `window / 32` (or 64) of its pixels and their halves.
            Defaults to 256, the paper's tile.
        margin: Context in pixels on each side that tiles see around what they write, a multiple of
            `window`; None for all that the network could read, so that tiles agree with a single
            pass exactly. Pixels that far away have hardly any influence, and reading them would be
            most of the work. Defaults to 256.
        multitask: Whether there are heads for boundaries, distances and colours. Defaults to False.
        num_classes, activation, dtype, name, trainable: See `SegmentationModel`.

    Attributes:
        geometry: The `WindowGeometry`, also after loading.

    Input shape:
        `(batch, *spatial, channels)`, real numbers, best normalized to a scale near 1.

    Output shape:
        `(batch, *spatial, num_classes)`, float32 logits.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = keras_unet.models.ResUNetA(filters=8, window=64)
        >>> tuple(model(np.zeros((1, 100, 85, 3))).shape)
        (1, 100, 85, 2)

    Reference:
        Diakogiannis, Waldner, Caccetta, Wu. "ResUNet-a: A deep learning framework for semantic
        segmentation of remotely sensed data." ISPRS J. 162, 2020.
        doi:10.1016/j.isprsjprs.2020.01.013, arXiv:1904.00592
    """

    def __init__(
        self,
        input_shape: tuple[int | None, ...] = (None, None, 3),
        num_classes: int = 2,
        filters: int = 32,
        variant: str = "d6",
        normalization: str | None = "batch",
        window: int = 256,
        margin: int | None = 256,
        multitask: bool = False,
        activation: Any = "relu",
        dtype: Any = None,
        name: str = "res_unet_a",
        trainable: bool = True,
    ) -> None:
        # === Arguments ===
        input_shape = check_input_shape(input_shape)
        check_positive(num_classes=num_classes, filters=filters, window=window)
        check_one_of("variant", variant, tuple(VARIANTS))
        _check_window(window, variant)
        if margin is None:
            margin = margin_of(_longest_path(variant, window, multitask), window)
        geometry = WindowGeometry(margin, window, "same", len(input_shape) - 1)
        blocks = AtrousBlocks(geometry, activation, normalization, dtype=dtype)

        # === Functional model ===
        inputs, image = image_input(input_shape, geometry, blocks.dtype)
        features = _features(blocks, image, filters, variant, window)
        pooled = blocks.activated(blocks.pyramid(features, filters, window, "pyramid"), "pyramid")
        if multitask:
            heads = _heads(blocks, features, pooled, filters, num_classes)
            if input_shape[-1] == 3:
                heads["color"] = blocks.head(features, 3, "color")
        else:
            heads = {"segmentation": blocks.head(pooled, num_classes)}
        outputs = {
            head: cut_back(logits, inputs, image, f"{head}_crop") for head, logits in heads.items()
        }

        logits = outputs["segmentation"]
        super().__init__(inputs, logits, geometry, blocks.dtype, name=name, trainable=trainable)
        self.heads = HEADS if multitask else ()
        self._outputs_of_heads = outputs

    def training_model(self) -> keras.Model:
        """The model itself, or with `multitask` the heads that `heads` names side by side.

        Returns:
            A `keras.Model` that shares all layers, float32 logits
            `(batch, *spatial, 3 * num_classes)`: segmentation, boundaries, distances. Without the
            colours, which no target knows: it does not see the image. Its weights come in the order
            of this model's.
        """
        if not self.heads:
            return self
        logits = [self._outputs_of_heads[head] for head in self.heads]
        joined = keras.layers.Concatenate(name="heads", dtype="float32")(logits)
        return self._sharing(joined, "heads")

    def multitask_model(self) -> keras.Model:
        """The model with the outputs of all heads, for training; it shares all its layers.

        Targets come from `keras_unet.targets.multitask_labels`. The colours (hue, saturation and
        value of the image itself) are only for images of 3 channels. No other head sees them, so
        that their head, one 1x1 convolution, is not among this model's weights: to continue a
        training with it later, save the model that this method gives.

        Returns:
            A `keras.Model` of the same inputs, whose output is a dict of float32 logits
            `(batch, *spatial, channels)`: "segmentation", "boundary" and "distance" with
            `num_classes` channels, "color" with 3. Their probabilities are a sigmoid for boundaries
            and colours, a softmax (a sigmoid for one channel) for segmentation and distances.

        Raises:
            ValueError: If the model was made with `multitask=False`.

        Example:
            >>> model = keras_unet.models.ResUNetA(multitask=True, window=64)
            >>> heads = model.multitask_model()
            >>> maps = keras_unet.losses.TanimotoMaps
            >>> heads.compile("adam", {
            ...     "segmentation": maps("softmax"), "boundary": maps("sigmoid"),
            ...     "distance": maps("softmax"), "color": maps("sigmoid"),
            ... })
        """
        if len(self._outputs_of_heads) == 1:
            raise ValueError(
                "the model has no other heads; make it with multitask=True. "
                "Received: multitask=False"
            )
        return self._sharing(dict(self._outputs_of_heads), "multitask")


def _features(blocks: AtrousBlocks, image: Any, filters: int, variant: str, window: int) -> Any:
    """The decoder's last features beside those of the first convolution."""
    encoder, decoder = VARIANTS[variant]
    first = blocks.activated(blocks.normed_convolution(image, filters, 1, "first"), "first")
    x, skips = first, []
    for level, dilations in enumerate(encoder):
        if level:
            skips.append(x)
            x = blocks.down(x, filters * 2**level, f"encoder{level + 1}")
        x = blocks.residual(x, dilations, f"encoder{level + 1}")
    x = blocks.pyramid(x, x.shape[-1], window >> len(decoder), "bridge")
    x = blocks.activated(x, "bridge")
    for level in reversed(range(len(decoder))):
        x = blocks.combine(x, skips[level], f"decoder{level + 1}")
        x = blocks.residual(x, decoder[level], f"decoder{level + 1}")
    return keras.layers.Concatenate(name="features", dtype=blocks.dtype)([x, first])


def _heads(
    blocks: AtrousBlocks, features: Any, pooled: Any, filters: int, num_classes: int
) -> dict[str, Any]:
    """Logits of distance, boundary and segmentation, each seeing those before it."""

    def head(parts: list[Any], convolutions: int, name: str) -> Any:
        x = parts[0]
        if len(parts) > 1:
            x = keras.layers.Concatenate(name=f"{name}_concat", dtype=blocks.dtype)(parts)
        for number in range(1, convolutions + 1):
            x = blocks.normed_convolution(x, filters, 3, f"{name}_conv{number}")
            x = blocks.activated(x, f"{name}_conv{number}")
        return blocks.head(x, num_classes, "logits" if name == "segmentation" else name)

    def probabilities(logits: Any, function: str, name: str) -> Any:
        options = {"name": f"{name}_{function}", "dtype": blocks.dtype}
        return keras.layers.Activation(function, **options)(logits)

    distance = head([features], 2, "distance")
    exclusive = "softmax" if num_classes > 1 else "sigmoid"
    distances = probabilities(distance, exclusive, "distance")
    boundary = head([pooled, distances], 1, "boundary")
    boundaries = probabilities(boundary, "sigmoid", "boundary")
    segmentation = head([pooled, boundaries, distances], 2, "segmentation")
    return {"segmentation": segmentation, "boundary": boundary, "distance": distance}


def _longest_path(variant: str, window: int, multitask: bool) -> list[Reads]:
    """What the layers read from the logits to the image, through the bridge."""
    encoder, decoder = VARIANTS[variant]
    path = [convolution(3)] * 3 if multitask else []
    path += _pyramid_reads(window)
    for dilations in decoder:
        path += [*[convolution(3, max(dilations))] * 2, upsampling(2)]
    path += _pyramid_reads(window >> len(decoder))
    for level in reversed(range(len(encoder))):
        path += [convolution(3, max(encoder[level]))] * 2
        path += [convolution(3, stride=2)] if level else []
    return path


def _pyramid_reads(window: int) -> list[Reads]:
    # The smaller windows lie in the largest one.
    return [upsampling(window), convolution(window, stride=window)]


def _check_window(window: int, variant: str) -> None:
    multiple = 2 ** len(VARIANTS[variant][1])
    if window % multiple:
        raise ValueError(
            f"window must be a multiple of {multiple} for variant={variant!r}, the pixels that one "
            f"of its bridge stands for. Received: window={window}"
        )
