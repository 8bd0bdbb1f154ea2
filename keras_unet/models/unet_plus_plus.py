"""UNet++ of Zhou et al.: nested skip connections, deep supervision, pruning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_unet._arguments import check_not_negative, check_positive, check_rate
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.losses import DeepSupervision
from keras_unet.metrics import MeanOfHeads
from keras_unet.models.any_size import cut_back, image_input
from keras_unet.models.blocks import Blocks
from keras_unet.models.segmentation_model import SegmentationModel, check_input_shape


@keras.saving.register_keras_serializable(package="keras_unet")
class UNetPlusPlus(SegmentationModel):
    """UNet++: a triangle of nodes between the two paths of a U-Net, logits out.

    Node X(i, j) on level i has two 3x3 convolutions; for j > 0 it sees, in this order, the
    up-convolution of X(i + 1, j - 1) and all nodes X(i, 0) to X(i, j - 1) before it. The nodes
    X(i, 0) are the contracting path. The logits come from X(0, depth).

    With `deep_supervision` each X(0, j), j >= 1, has a head of its own, and the model's logits are
    their mean. `model.training_model()` gives all heads, which `training_loss` and
    `training_metrics` know, and `model.pruned(level)` the smaller network that ends at one of them.

    With its defaults the network has 9,041,634 parameters; with `num_classes=1` it is the
    published one: 9,041,601, with deep supervision 9,041,700.

    Deviations: any image size (mirrored at its end to a multiple of `2**depth`); logits in place of
    sigmoids, so that it is their logits that are averaged; a normalization may be added.

    Args:
        input_shape: See `SegmentationModel`. Defaults to `(None, None, 1)`.
        filters: Channels of the first level; they double with every level. Defaults to 32.
        depth: Number of poolings, at least 1. Defaults to 4.
        normalization: None, "batch" or "group". Defaults to None. See `UNet`.
        dropout: Rate of the dropout after each convolution, in [0, 1). Defaults to 0.5.
        l2: Factor of the L2 penalty on the kernels. Defaults to 1e-4.
        deep_supervision: Whether every X(0, j) has a head. Defaults to False.
        num_classes, activation, dtype, name, trainable: See `SegmentationModel`.

    Attributes:
        geometry: The `UNetGeometry` of "same" padding.
        num_heads: Number of heads: `depth` with deep supervision, else 1.

    Input shape:
        `(batch, *spatial, channels)`, sizes >= 1 px, best normalized to a scale near 1.

    Output shape:
        `(batch, *spatial, num_classes)`, float32 logits.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = keras_unet.models.UNetPlusPlus(filters=4, deep_supervision=True)
        >>> training = model.training_model()
        >>> loss = model.training_loss(keras_unet.losses.WeightedCrossentropy())
        >>> training.compile("adam", loss)
        >>> training.output_shape, model.output_shape  # they share their weights
        ((None, None, None, 8), (None, None, None, 2))
        >>> fast = model.pruned(2)

    Reference:
        Zhou, Siddiquee, Tajbakhsh, Liang. "UNet++: A Nested U-Net Architecture for Medical Image
        Segmentation." DLMIA 2018. doi:10.1007/978-3-030-00889-5_1, arXiv:1807.10165
    """

    def __init__(
        self,
        input_shape: tuple[int | None, ...] = (None, None, 1),
        num_classes: int = 2,
        filters: int = 32,
        depth: int = 4,
        normalization: str | None = None,
        dropout: float = 0.5,
        l2: float = 1e-4,
        deep_supervision: bool = False,
        activation: Any = "relu",
        dtype: Any = None,
        name: str = "unet_plus_plus",
        trainable: bool = True,
    ) -> None:
        # === Arguments ===
        input_shape = check_input_shape(input_shape)
        check_positive(num_classes=num_classes, filters=filters, depth=depth)
        check_rate("dropout", dropout)
        check_not_negative(l2=l2)
        geometry = UNetGeometry(depth, "same", len(input_shape) - 1)

        # === Functional model ===
        blocks = Blocks(geometry, activation, normalization, l2=l2, dtype=dtype)
        inputs, image = image_input(input_shape, geometry, blocks.dtype)
        ends = _triangle(blocks, image, filters, depth, dropout)
        first = 1 if deep_supervision else depth
        heads = [blocks.head(ends[j], num_classes, f"logits{j}") for j in range(first, depth + 1)]
        mean = keras.layers.Average(name="mean", dtype="float32")(heads) if heads[1:] else heads[0]
        outputs = cut_back(mean, inputs, image)
        super().__init__(inputs, outputs, geometry, blocks.dtype, name=name, trainable=trainable)
        self.num_heads = len(heads)
        self._image_and_logits = image, heads

    def training_model(self) -> keras.Model:
        """The model itself, or with deep supervision the logits of all heads side by side.

        Returns:
            A Keras model that shares every layer, `(batch, *spatial, num_heads * num_classes)`, the
            head of X(0, 1) first. Its weights come in the order of this model's.
        """
        if self.num_heads == 1:
            return self
        image, heads = self._image_and_logits
        joined = keras.layers.Concatenate(name="heads", dtype="float32")(heads)
        return self._sharing(cut_back(joined, self.inputs[0], image), "supervised")

    def training_loss(self, loss: keras.losses.Loss) -> keras.losses.Loss:
        """The mean of the loss over the heads."""
        return loss if self.num_heads == 1 else DeepSupervision(loss, self.num_heads)

    def training_metrics(self, metrics: Sequence[keras.metrics.Metric]) -> list[Any]:
        """The metrics of the heads' mean, which the model itself gives."""
        if self.num_heads == 1:
            return list(metrics)
        return [MeanOfHeads(metric, self.num_heads) for metric in metrics]

    def pruned(self, level: int) -> UNetPlusPlus:
        """The smaller network that ends at X(0, level), with a copy of the weights.

        Args:
            level: 1 to `depth`; below `depth` only with deep supervision.

        Returns:
            A `UNetPlusPlus` of that depth with one head.

        Raises:
            ValueError: If X(0, level) has no head.
        """
        depth = self.geometry.depth
        lowest = depth - self.num_heads + 1
        if not lowest <= level <= depth:
            raise ValueError(
                f"level must be between {lowest} and {depth}; smaller ones have a head with "
                f"deep_supervision=True only. Received: level={level}"
            )
        changes = {"depth": level, "deep_supervision": False}
        small = type(self).from_config({**self.get_config(), **changes})
        for layer in small.layers:
            if layer.weights:
                layer.set_weights(self.get_layer(layer.name).get_weights())
        return small


def _triangle(blocks: Blocks, image: Any, filters: int, depth: int, dropout: float) -> list[Any]:
    """Outputs of the nodes X(0, 0) to X(0, depth)."""
    rows: list[list[Any]] = []
    for level in range(depth + 1):
        x = image if level == 0 else blocks.pool(rows[level - 1][0], f"contract{level}")
        rows.append([_node(blocks, x, filters * 2**level, dropout, f"node{level}_0")])
        for above in reversed(range(level)):  # a new level allows one more node on each one above
            row, number = rows[above], level - above
            name = f"node{above}_{number}"
            up = blocks.up_convolution(rows[above + 1][number - 1], filters * 2**above, name)
            layer = keras.layers.Concatenate(name=f"{name}_concat", dtype=blocks.dtype)
            row.append(_node(blocks, layer([up, *row]), filters * 2**above, dropout, name))
    return rows[0]


def _node(blocks: Blocks, x: Any, filters: int, dropout: float, name: str) -> Any:
    """Two convolutions, each with its dropout."""
    for number in (1, 2):
        layer = f"{name}_conv{number}"
        x = blocks.dropped(blocks.convolved(x, filters, 3, layer), dropout, f"{layer}_dropout")
    return x
