"""Measures: streaming Keras metrics for training, and the challenges' own on finished results.

The challenges' measures are NumPy and must give the golden values of `tests/golden` for ever.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "heads": ["FirstHead", "MeanOfHeads"],
        "segmentation": ["Dice", "ForegroundIoU", "MeanIoU", "PixelAccuracy"],
    },
    submodules=("instances", "isbi", "segmentation"),
)
