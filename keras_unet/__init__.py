"""U-Net for biomedical image segmentation in Keras 3.

>>> import keras_unet as ku
>>> geometry = ku.UNetGeometry(depth=4, padding="valid")
>>> geometry.output_size(572)
388
"""

from keras_unet import _registration
from keras_unet._lazy import attach
from keras_unet._version import __version__

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "evaluation.evaluate": ["evaluate"],
        "geometry.tiles": ["plan_tiles"],
        "geometry.unet": ["UNetGeometry"],
        "geometry.window": ["WindowGeometry"],
        "inference.presets": ["presets"],
        "inference.segmenter": ["Segmenter"],
        "report.results": ["predict_files"],
        "sample": ["Sample"],
        "segmentation": ["Segmentation"],
        "training.recipe": ["Recipe"],
        "training.trainer": ["train"],
    },
    submodules=(
        "data",
        "evaluation",
        "export",
        "geometry",
        "inference",
        "layers",
        "losses",
        "metrics",
        "models",
        "objects",
        "report",
        "serving",
        "targets",
        "training",
    ),
)
__all__ += ["__version__"]

_registration.install()
