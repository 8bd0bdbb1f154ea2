"""Readers, normalisation, synthetic cells, augmentation and the training pipeline."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Augmentation": "augmentation",
        "Normalization": "normalization",
        "Sample": "sample",
        "load_samples": "sources",
        "parse_selection": "sources",
        "read_cell_tracking": "cell_tracking",
        "read_cell_tracking_markers": "cell_tracking",
        "read_folder": "folder",
        "read_image": "reading",
        "read_isbi2012": "isbi2012",
        "read_labels": "reading",
        "read_spacing": "voxel_size",
        "synthetic_cells": "synthetic",
        "training_dataset": "pipeline",
        "write_image": "writing",
        "write_labels": "writing",
    },
)
