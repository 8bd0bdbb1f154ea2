"""What networks learn from instances and how their outputs become instances again."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ClassTarget": "classes",
        "Decoded": "base",
        "SeedTarget": "seeds",
        "TARGETS": "registry",
        "Target": "base",
        "WEIGHT_PRESETS": "weights",
        "balanced_class_weights": "class_balance",
        "class_frequencies": "class_balance",
        "close_gaps": "separation",
        "close_membranes": "membranes",
        "connected_components": "labelling",
        "create": "registry",
        "multitask_labels": "multitask",
        "relabel": "labelling",
        "remove_small": "labelling",
        "separate_touching": "separation",
        "two_nearest_distances": "distance",
        "watershed_from_seeds": "labelling",
        "weight_map": "weights",
        "weight_reach": "weights",
    },
)
