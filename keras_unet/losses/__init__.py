"""Losses for class maps with per-pixel weights: cross-entropy, soft Dice, Tanimoto and others."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CrossentropyDice": "crossentropy_dice",
        "DeepSupervision": "deep_supervision",
        "LossOfHeads": "loss_of_heads",
        "SeedDistance": "seed_distance",
        "SoftDice": "soft_dice",
        "Tanimoto": "tanimoto",
        "TanimotoMaps": "tanimoto_maps",
        "WeightedCrossentropy": "weighted_crossentropy",
        "check_labels": "labels",
        "dice_coefficients": "soft_dice",
        "pixel_crossentropy": "weighted_crossentropy",
        "tanimoto_coefficient": "tanimoto",
        "tanimoto_with_dual": "tanimoto",
    },
)
