"""What networks learn from instances, and how their outputs become instances again.

One matched pair a file. Its rules are written once, for NumPy and `keras.ops`; no other room
asks which target it is.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ClassTarget": "classes",
        "Decoded": "base",
        "MultitaskTarget": "multitask",
        "SeedTarget": "seeds",
        "Target": "base",
        "WEIGHT_PRESETS": "weights",
        "balanced_class_weights": "class_balance",
        "class_frequencies": "class_balance",
        "create": "registry",
        "get": "registry",
        "list_targets": "registry",
        "multitask_labels": "multitask",
        "weight_map": "weights",
        "weight_reach": "weights",
    },
)
