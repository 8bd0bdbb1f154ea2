"""Segmentation of images of any size: tiles, engines, test-time augmentation, run folders."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Segmenter": "segmenter",
        "estimate_memory": "memory",
        "predict_large": "blocks",
        "predict_tiles": "tiling",
    },
    submodules=("memory", "tiling", "views"),
)
