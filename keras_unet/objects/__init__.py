"""Instance maps in NumPy and numba: components, watershed, gaps, distances.

Results are exact and the same on every machine; neither Keras nor a backend is imported here.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "close_gaps": "separation",
        "close_membranes": "membranes",
        "connected_components": "labelling",
        "relabel": "instance_maps",
        "remove_small": "instance_maps",
        "separate_touching": "separation",
        "two_nearest_distances": "distance",
        "watershed_from_seeds": "watershed",
    },
)
