"""Losses for class maps and maps of numbers with per-pixel weights.

A pure function and a thin Keras class each, `keras.ops` only, float32 under every precision.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "crossentropy_dice": ["CrossentropyDice"],
        "heads": ["DeepSupervision", "LossOfHeads"],
        "labels": ["check_labels"],
        "seed_distance": ["SeedDistance"],
        "soft_dice": ["SoftDice", "dice_coefficients"],
        "tanimoto": ["Tanimoto", "TanimotoMaps", "tanimoto_coefficient", "tanimoto_with_dual"],
        "weighted_crossentropy": ["WeightedCrossentropy", "pixel_crossentropy"],
    },
)
