"""Every architecture, as small as it gets."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "attention_unet": {"filters": 2, "depth": 1},
    "fcn": {"filters": 2, "units": 4},
    "res_unet": {"filters": 2, "depth": 1},
    "res_unet_a": {"filters": 4, "window": 32, "margin": 32},
    "sliding_window": {"filters": 2, "units": 4},
    "unet": {"filters": 2, "depth": 1, "padding": "same", "dropout": 0.0},
    "unet_plus_plus": {"filters": 2, "depth": 2, "dropout": 0.0, "deep_supervision": True},
    "vnet": {"input_shape": (None, None, 1), "filters": 2, "depth": 1, "margin": 8},
}
