"""Segmentation of images of any size: preparation, tiles, engines, views, run folders.

The way from an image to a segmentation is written once, in `Segmenter`; what runs a tile is an
engine. Tiled and whole results agree to the bit.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "blocks": ["predict_large"],
        "memory": ["estimate_memory"],
        "segmenter": ["Segmenter"],
        "tiling": ["predict_tiles"],
    },
    submodules=("memory", "tiling", "views"),
)
