"""Annotated images: readers, synthetic cells, and the `tf.data` pipeline of training tiles.

Also the door to what lives on lower floors and belongs to data for a user: files, augmentation.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Augmentation": "keras_unet.augmentation.augmentation",
        "Normalization": "keras_unet.normalization",
        "Sample": "keras_unet.sample",
        "load_samples": "data_set",
        "parse_selection": "data_set",
        "read_cell_tracking": "cell_tracking",
        "read_cell_tracking_markers": "cell_tracking",
        "read_folder": "folder",
        "read_image": "keras_unet.files.reading",
        "read_isbi2012": "isbi2012",
        "read_labels": "keras_unet.files.reading",
        "read_spacing": "keras_unet.files.spacing",
        "resize_sample": "resolution",
        "synthetic_cells": "synthetic",
        "training_dataset": "pipeline",
        "working_shape": "resolution",
        "write_image": "keras_unet.files.writing",
        "write_labels": "keras_unet.files.writing",
    },
)
