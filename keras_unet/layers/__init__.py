"""Keras layers, in `keras.ops` only: they run on TensorFlow, JAX and PyTorch.

Names and arguments are stored in saved models: add, do not rename.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BilinearUpConvolution": "bilinear_up_convolution",
        "BilinearUpsampling": "upsampling",
        "CenterCrop": "center_crop",
        "ChannelShortcut": "channel_shortcut",
        "DilatedMaxPooling": "dilated_max_pooling",
        "MirrorPadding": "mirror_padding",
        "NearestUpsampling": "upsampling",
        "RandomWarp": "random_warp",
        "StartCrop": "center_crop",
    },
)
