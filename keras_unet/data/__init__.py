"""Annotated images: readers, synthetic cells, and the `tf.data` pipeline of training tiles.

Also the door to what lives on lower floors and belongs to data for a user: files, augmentation.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cell_tracking": ["read_cell_tracking", "read_cell_tracking_markers"],
        "data_set": ["load_samples", "parse_selection"],
        "fitting": ["num_classes"],
        "folder": ["read_folder"],
        "isbi2012": ["read_isbi2012"],
        "keras_unet.augmentation.augmentation": ["Augmentation"],
        "keras_unet.files.reading": ["read_image", "read_labels"],
        "keras_unet.files.spacing": ["read_spacing"],
        "keras_unet.files.writing": ["write_image", "write_labels"],
        "keras_unet.normalization": ["Normalization"],
        "keras_unet.sample": ["Sample"],
        "pipeline": ["training_dataset"],
        "resolution": ["resize_sample", "working_shape"],
        "synthetic": ["synthetic_cells"],
        "validation": ["validation_dataset"],
    },
)
