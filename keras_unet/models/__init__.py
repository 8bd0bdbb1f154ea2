"""Segmentation networks: Keras models with a geometry, by class or by name."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "SegmentationModel": "segmentation_model",
        "UNet": "unet",
        "create": "registry",
        "names": "registry",
    },
)
