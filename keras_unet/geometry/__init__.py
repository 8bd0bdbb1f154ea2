"""Sizes, margins and tile plans of networks as plain integers.

Model, pipeline, tiler and exporter ask here; no other room computes a size. Every number is exact:
a change needs a test by hand or by impulses (`tests/margin_tester.py`).
"""

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
