"""What networks learn from instances, and how their outputs become instances again.

One matched pair a file. Its rules are written once, for NumPy and `keras.ops`; no other room
asks which target it is.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "base": ["Decoded", "Target"],
        "class_balance": ["balanced_class_weights", "class_frequencies"],
        "classes": ["ClassTarget"],
        "multitask": ["MultitaskTarget", "multitask_labels"],
        "registry": ["create", "get", "list_targets"],
        "seeds": ["SeedTarget"],
        "weights": ["WEIGHT_PRESETS", "weight_map", "weight_reach"],
    },
)
