"""Segmentation networks: Keras models with a geometry, by class or by name.

One architecture a file, one line in `registry`; its published parameter count is a test.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AttentionUNet": "attention_unet",
        "FCN": "fcn",
        "ResUNet": "res_unet",
        "ResUNetA": "res_unet_a",
        "SegmentationModel": "segmentation_model",
        "SlidingWindow": "sliding_window",
        "UNet": "unet",
        "UNetPlusPlus": "unet_plus_plus",
        "VNet": "vnet",
        "arguments": "registry",
        "create": "registry",
        "get": "registry",
        "list_models": "registry",
        "predict_windows": "sliding_window",
    },
)
