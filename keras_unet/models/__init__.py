"""Segmentation networks: Keras models with a geometry, by class or by name.

One architecture a file, one line in `registry`; its published parameter count is a test.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "attention_unet": ["AttentionUNet"],
        "fcn": ["FCN"],
        "fit_checks": ["TrainingModel"],
        "registry": ["arguments", "create", "get", "list_models"],
        "res_unet": ["ResUNet"],
        "res_unet_a": ["ResUNetA"],
        "segmentation_model": ["SegmentationModel"],
        "sliding_window": ["SlidingWindow", "predict_windows"],
        "unet": ["UNet"],
        "unet_plus_plus": ["UNetPlusPlus"],
        "vnet": ["VNet"],
    },
)
