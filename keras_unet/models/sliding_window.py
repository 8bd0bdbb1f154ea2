"""The sliding-window network of Ciresan et al., the U-Net's predecessor."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_unet._arguments import check_positive, check_rate
from keras_unet.geometry.window import WindowGeometry
from keras_unet.layers.dilated_max_pooling import DilatedMaxPooling
from keras_unet.models.any_size import image_input
from keras_unet.models.blocks import Blocks
from keras_unet.models.segmentation_model import SegmentationModel, check_input_shape

KERNELS = (4, 5, 4, 4)
"""Sizes of the convolutions, each followed by a pooling of 2."""
DENSE = 3
"""Side of the feature map that the fully connected layer sees."""
WINDOW = 95


@keras.saving.register_keras_serializable(package="keras_unet")
class SlidingWindow(SegmentationModel):
    """Pixel classifier of a 95 px window (N4), as the equal dense network, logits out.

    The published network sees a window of 95 x 95 pixels and tells the class of its centre: four
    convolutions of 48 channels (4x4, 5x5, 4x4, 4x4), each with a max pooling of 2, a layer of 200
    units, and the classes; 219,290 parameters for one input channel and two classes. Run at every
    pixel it computes most numbers hundreds of times over.

    This model is the same function computed once: poolings at stride 1, the layers after them
    dilated by 2, 4, 8 and 16, the fully connected layer as a 3x3 convolution on its map. It gives
    the logits of all pixels whose window lies in the image, equal to those of
    `patch_classifier()`, and trains on tiles of any size >= 95 px, where every output pixel counts
    as one window; a tile of 95 px is one window.

    Left out of the paper: foveation and non-uniform sampling of the window, the average of four
    networks, the calibration and the median filter of its outputs. The non-linearity is that of
    later ports (ReLU).

    Args:
        input_shape: See `SegmentationModel`. Defaults to `(None, None, 1)`.
        filters: Channels of the convolutions. Defaults to 48.
        units: Units of the fully connected layer. Defaults to 200.
        normalization: None, "batch" or "group", after every convolution. Defaults to None.
        dropout: Rate of the dropout before the last layer, in [0, 1). Defaults to 0.
        num_classes, activation, dtype, name, trainable: See `SegmentationModel`.

    Attributes:
        geometry: A `WindowGeometry` of "valid" padding with a margin of 47 px.

    Input shape:
        `(batch, *spatial, channels)`, sizes >= 95 px, best normalized to a scale near 1.

    Output shape:
        `(batch, *spatial - 94, num_classes)`, float32 logits.

    Raises:
        ValueError: If an argument is out of its range, or an image is smaller than a window.

    Example:
        >>> model = keras_unet.models.SlidingWindow()
        >>> tuple(model(np.zeros((1, 100, 120, 1))).shape), model.count_params()
        ((1, 6, 26, 2), 219290)
        >>> tuple(model.patch_classifier()(np.zeros((8, 95, 95, 1))).shape)
        (8, 2)

    Reference:
        Ciresan, Giusti, Gambardella, Schmidhuber. "Deep Neural Networks Segment Neuronal Membranes
        in Electron Microscopy Images." NIPS 2012.
        Giusti, Ciresan, Masci, Gambardella, Schmidhuber. "Fast Image Scanning with Deep Max-Pooling
        Convolutional Neural Networks." ICIP 2013. arXiv:1302.1700
    """

    def __init__(
        self,
        input_shape: tuple[int | None, ...] = (None, None, 1),
        num_classes: int = 2,
        filters: int = 48,
        units: int = 200,
        normalization: str | None = None,
        dropout: float = 0.0,
        activation: Any = "relu",
        dtype: Any = None,
        name: str = "sliding_window",
        trainable: bool = True,
    ) -> None:
        # === Arguments ===
        input_shape = check_input_shape(input_shape)
        check_positive(num_classes=num_classes, filters=filters, units=units)
        check_rate("dropout", dropout)
        geometry = WindowGeometry(margin=WINDOW // 2, rank=len(input_shape) - 1)

        # === Functional model ===
        blocks = Blocks(geometry, activation, normalization, dtype=dtype)
        inputs, x = image_input(input_shape, geometry, blocks.dtype)
        outputs = _layers(blocks, x, num_classes, filters, units, dropout, dense=True)
        super().__init__(inputs, outputs, geometry, blocks.dtype, name=name, trainable=trainable)
        self._blocks = blocks

    def patch_classifier(self) -> keras.Model:
        """The network as published, for one window at a time, with a copy of the weights.

        Returns:
            A Keras model: windows `(batch, 95, ..., channels)` -> logits `(batch, num_classes)`,
            with poolings of stride 2.
        """
        config = self.get_config()
        rank = self.geometry.rank
        inputs = keras.Input((WINDOW,) * rank + (config["input_shape"][-1],), name="window")
        sizes = {name: config[name] for name in ("num_classes", "filters", "units", "dropout")}
        logits = _layers(self._blocks, inputs, **sizes, dense=False)
        logits = keras.layers.Flatten(name="flat", dtype="float32")(logits)
        model = keras.Model(inputs, logits, name=f"{self.name}_patch_classifier")
        model.set_weights(self.get_weights())
        return model


def _layers(
    blocks: Blocks,
    x: Any,
    num_classes: int,
    filters: int,
    units: int,
    dropout: float,
    dense: bool,
) -> Any:
    """All layers: dense at stride 1 with dilations, else with poolings of stride 2."""
    dilation = 1
    for number, size in enumerate(KERNELS, start=1):
        x = blocks.convolved(x, filters, size, f"conv{number}", dilation=dilation)
        if dense:
            options = {"name": f"pool{number}", "dtype": blocks.dtype}
            x = DilatedMaxPooling(2, dilation, **options)(x)
            dilation *= 2
        else:
            x = blocks.pool(x, f"window{number}")
    x = blocks.convolved(x, units, DENSE, "units", dilation=dilation)
    x = blocks.dropped(x, dropout, "dropout")
    return blocks.head(x, num_classes)


def predict_windows(
    classifier: keras.Model, image: np.ndarray, batch_size: int = 512
) -> np.ndarray:
    """Classifies every pixel by the window around it; the image is mirrored at its borders.

    This is how networks segmented before they were made fully convolutional. It is here to be
    compared with: the dense `SlidingWindow` gives the same logits, hundreds of times faster.

    Args:
        classifier: `SlidingWindow.patch_classifier()`, or another model of `(batch, *window, C)`
            with odd sizes.
        image: `(*spatial, C)`, normalized, float32.
        batch_size: Windows that are classified at once. Defaults to 512.

    Returns:
        Logits `(*spatial, num_classes)`, float32.

    Raises:
        ValueError: If the image does not have the classifier's number of axes and channels.
    """
    *window, channels = classifier.input_shape[1:]
    if image.ndim != len(window) + 1 or image.shape[-1] != channels:
        raise ValueError(
            f"image must have {len(window)} spatial axes and {channels} channel(s). "
            f"Received: image.shape={image.shape}"
        )
    rims = [(size // 2, size // 2) for size in window]
    padded = np.pad(image, [*rims, (0, 0)], mode="reflect")
    axes = tuple(range(len(window)))
    views = np.lib.stride_tricks.sliding_window_view(padded, window, axes)
    views = np.moveaxis(views, len(window), -1)  # (*spatial, *window, C)
    pixels = np.indices(image.shape[:-1]).reshape(len(window), -1)
    logits = np.empty((pixels.shape[1], classifier.output_shape[-1]), np.float32)
    for start in range(0, len(logits), batch_size):
        batch: Any = views[tuple(pixels[:, start : start + batch_size])]
        logits[start : start + batch_size] = classifier.predict_on_batch(batch)
    return logits.reshape(*image.shape[:-1], -1)
