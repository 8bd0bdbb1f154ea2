"""Losses for class maps and maps of numbers with per-pixel weights.

A pure function and a thin Keras class each, `keras.ops` only, float32 under every precision.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CrossentropyDice": "crossentropy_dice",
        "DeepSupervision": "heads",
        "LossOfHeads": "heads",
        "SeedDistance": "seed_distance",
        "SoftDice": "soft_dice",
        "Tanimoto": "tanimoto",
        "TanimotoMaps": "tanimoto",
        "WeightedCrossentropy": "weighted_crossentropy",
        "check_labels": "labels",
        "dice_coefficients": "soft_dice",
        "pixel_crossentropy": "weighted_crossentropy",
        "tanimoto_coefficient": "tanimoto",
        "tanimoto_with_dual": "tanimoto",
    },
)
