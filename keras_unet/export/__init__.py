"""Ways out of Python: SavedModel for TF-Serving, TFLite, ONNX, OpenVINO, and a page."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "saved_model": "saved_model",
    },
)
