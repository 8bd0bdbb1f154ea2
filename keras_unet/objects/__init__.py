"""Instance maps in NumPy and numba: components, watershed, gaps, distances.

Results are exact and the same on every machine; neither Keras nor a backend is imported here.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "distance": ["two_nearest_distances"],
        "instance_maps": ["relabel", "remove_small"],
        "labelling": ["connected_components"],
        "membranes": ["close_membranes"],
        "separation": ["close_gaps", "separate_touching"],
        "watershed": ["watershed_from_seeds"],
    },
)
