"""Segmentation of images of any size: preparation, tiles, engines, views, run folders.

The way from an image to a segmentation is written once, in `Segmenter`; what runs a tile is an
engine. Tiled and whole results agree to the bit.
"""

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
