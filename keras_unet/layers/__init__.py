"""Keras layers, in `keras.ops` only: they run on TensorFlow, JAX and PyTorch.

Names and arguments are stored in saved models: add, do not rename.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "batch_normalization": ["BatchNormalization"],
        "bilinear_up_convolution": ["BilinearUpConvolution"],
        "center_crop": ["CenterCrop", "StartCrop"],
        "channel_shortcut": ["ChannelShortcut"],
        "dilated_max_pooling": ["DilatedMaxPooling"],
        "mirror_padding": ["MirrorPadding"],
        "random_warp": ["RandomWarp"],
        "upsampling": ["BilinearUpsampling", "NearestUpsampling"],
    },
)
