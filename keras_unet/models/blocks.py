"""The blocks of a U-Net, written once for 1 to 3 spatial axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras

from keras_unet._arguments import check_one_of
from keras_unet.geometry.base import Geometry
from keras_unet.layers.batch_normalization import BatchNormalization
from keras_unet.layers.center_crop import CenterCrop
from keras_unet.layers.upsampling import BilinearUpsampling, NearestUpsampling

NORMALIZATIONS = (None, "batch", "group")
INITIALIZERS = ("he_normal", "caffe_xavier")


@dataclass(frozen=True)
class Blocks:
    """Builds the blocks of one network; each method takes and gives symbolic tensors.

    Functions that add plain Keras layers, not layers of layers, so that every feature map of the
    network has a name and a shape of its own in `model.summary()`.

    Args:
        geometry: Geometry of the network, whose rank and padding its layers have.
        activation: Name, function or configuration of the non-linearity; "prelu" is a slope for
            each channel, from 0.25. Defaults to "relu".
        normalization: None, "batch" or "group" (8 groups, or the largest divisor of 8 that divides
            the filters), between convolution and activation. Defaults to None.
        kernel_size: Odd size of the convolutions' kernels. Defaults to 3.
        convs_per_level: Convolutions that `convolutions` stacks. Defaults to 2.
        l2: Factor of the L2 penalty on the kernels of convolutions. Defaults to 0, none.
        initializer: "he_normal": N(0, 2 / N) with N inputs per output; "caffe_xavier": uniform of
            variance 1 / N with Caffe's N. Defaults to "he_normal".
        dtype: Dtype policy of all layers. Defaults to None, the global one.
    """

    geometry: Geometry
    activation: Any = "relu"
    normalization: str | None = None
    kernel_size: int = 3
    convs_per_level: int = 2
    l2: float = 0.0
    initializer: str = "he_normal"
    dtype: Any = None

    def __post_init__(self) -> None:
        check_one_of("normalization", self.normalization, NORMALIZATIONS)
        check_one_of("initializer", self.initializer, INITIALIZERS)
        object.__setattr__(self, "dtype", keras.dtype_policies.get(self.dtype))

    def ranked(self, kind: str, *arguments: Any, **options: Any) -> keras.layers.Layer:
        """A Keras layer of the network's rank and dtype, such as "MaxPooling{}D"."""
        layer = getattr(keras.layers, kind.format(self.geometry.rank))
        shared = {"data_format": "channels_last", "dtype": self.dtype}
        return layer(*arguments, **{**shared, **options})

    def convolutions(self, x: Any, filters: int, name: str) -> Any:
        """The level's convolutions, each with normalization and activation."""
        for number in range(1, self.convs_per_level + 1):
            x = self.convolved(x, filters, self.kernel_size, f"{name}_conv{number}")
        return x

    def pool(self, x: Any, name: str, padding: str = "valid") -> Any:
        """Max pooling of 2 with stride 2; "same" keeps the last pixel of an odd size."""
        return self.ranked("MaxPooling{}D", 2, padding=padding, name=f"{name}_pool")(x)

    def up_convolution(self, x: Any, filters: int, name: str, activate: bool = False) -> Any:
        """Up-convolution: a transposed convolution of size 2 and stride 2.

        Its kernels do not overlap, so each output is a sum over one tap of every input channel:
        the fan-in N is the number of input channels. Keras's own fan-in is wrong here, for it reads
        the kernel's axes `(*size, out, in)` as `(*size, in, out)`. That mistaken number happens to
        be what Caffe takes, size**rank * out, so "caffe_xavier" asks Keras for it.
        """
        if self.initializer == "he_normal":
            initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2 / x.shape[-1]))
        else:
            initializer = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
        options = {"kernel_initializer": initializer, "name": f"{name}_up"}
        x = self.ranked("Conv{}DTranspose", filters, 2, strides=2, **options)(x)
        return self.activated(x, f"{name}_up") if activate else x

    def repeat(self, x: Any, factor: int, name: str) -> Any:
        """Up-sampling by repetition, without weights."""
        return NearestUpsampling(factor, name=name, dtype=self.dtype)(x) if factor > 1 else x

    def up_bilinear(self, x: Any, filters: int, name: str, activate: bool = False) -> Any:
        """Bilinear up-sampling by 2 and a 1x1 convolution to `filters` channels.

        The convolution comes first: both are linear and commute, and there it is 4 times cheaper
        (8 times in 3-D).
        """
        x = self.convolution(x, filters, 1, f"{name}_up")
        x = BilinearUpsampling(2, name=f"{name}_bilinear", dtype=self.dtype)(x)
        return self.activated(x, f"{name}_up") if activate else x

    def join(self, x: Any, skip: Any, name: str) -> Any:
        """Concatenates the up-sampled features and, after them, the (cropped) skip connection."""
        if self.geometry.padding == "valid":
            skip = CenterCrop(name=f"{name}_crop", dtype=self.dtype)([skip, x])
        return keras.layers.Concatenate(name=f"{name}_concat", dtype=self.dtype)([x, skip])

    def head(self, x: Any, num_classes: int, name: str = "logits") -> Any:
        """1x1 convolution to logits, computed in float32 under every dtype policy."""
        return self.convolution(x, num_classes, 1, name, dtype="float32")

    def convolved(self, x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
        """One convolution (`options` as there) with normalization and activation."""
        x = self.convolution(x, filters, size, name, **options)
        return self.activated(self.normalized(x, name), name)

    def dropped(self, x: Any, rate: float, name: str) -> Any:
        """Dropout; no layer for a rate of 0."""
        return keras.layers.Dropout(rate, name=name, dtype=self.dtype)(x) if rate else x

    def convolution(
        self,
        x: Any,
        filters: int,
        size: int,
        name: str,
        strides: int = 1,
        dilation: int = 1,
        use_bias: bool = True,
        padding: str | None = None,
        dtype: Any = None,
        initializer: Any = None,
    ) -> Any:
        """One convolution, without normalization and activation."""
        scale, distribution = (
            (2.0, "untruncated_normal") if self.initializer == "he_normal" else (1.0, "uniform")
        )
        return self.ranked(
            "Conv{}D",
            filters,
            size,
            strides=strides,
            padding=padding or self.geometry.padding,
            dilation_rate=dilation,
            use_bias=use_bias,
            kernel_initializer=initializer
            or keras.initializers.VarianceScaling(scale, "fan_in", distribution),
            kernel_regularizer=keras.regularizers.L2(self.l2) if self.l2 else None,
            name=name,
            dtype=dtype or self.dtype,
        )(x)

    def normalized(self, x: Any, name: str) -> Any:
        """The normalization of the network, if it has one."""
        if self.normalization == "batch":
            # Keras's momentum of 0.99 needs some 500 steps before the averages are of use.
            return BatchNormalization(momentum=0.9, name=f"{name}_norm", dtype=self.dtype)(x)
        if self.normalization == "group":
            groups = math.gcd(8, x.shape[-1])
            return keras.layers.GroupNormalization(groups, name=f"{name}_norm", dtype=self.dtype)(x)
        return x

    def activated(self, x: Any, name: str) -> Any:
        """The non-linearity of the network."""
        if self.activation == "prelu":
            return keras.layers.PReLU(
                alpha_initializer=keras.initializers.Constant(0.25),
                shared_axes=list(range(1, self.geometry.rank + 1)),
                name=f"{name}_act",
                dtype=self.dtype,
            )(x)
        activation = keras.activations.get(self.activation)
        return keras.layers.Activation(activation, name=f"{name}_act", dtype=self.dtype)(x)
