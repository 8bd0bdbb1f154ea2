"""Segmentation of images of any size: tiles, test-time augmentation, evaluation, run folders."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Segmentation": "segmentation",
        "Segmenter": "segmenter",
        "estimate_memory": "memory",
        "predict_large": "large",
        "predict_tiles": "tiling",
    },
    submodules=("augmentation", "evaluation", "memory", "tiling"),
)
