"""Sizes, margins and tile plans of networks as plain integers; nothing else computes a size."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Geometry": "base",
        "Tile": "tiles",
        "TilePlan": "tiles",
        "UNetGeometry": "unet",
        "WindowGeometry": "window",
        "geometry_from_config": "window",
        "plan_fixed": "tiles",
        "plan_tiles": "tiles",
    },
)
