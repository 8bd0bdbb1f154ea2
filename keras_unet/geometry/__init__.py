"""Sizes, margins and tile plans of networks as plain integers.

Model, pipeline, tiler and exporter ask here; no other room computes a size. Every number is exact:
a change needs a test by hand or by impulses (`tests/margin_tester.py`).
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "base": ["Geometry"],
        "margins": ["mirrored_margin"],
        "tiles": ["Tile", "TilePlan", "plan_fixed", "plan_tiles"],
        "unet": ["UNetGeometry"],
        "window": ["WindowGeometry", "geometry_from_config"],
    },
)
