"""Ways out of Python: SavedModel for TF-Serving, TFLite, ONNX, OpenVINO, and a page.

Every format has a parity test against `Segmenter.predict`; rules of targets come from the target.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    # Modules have other names than the functions, which an import of them would hide.
    {
        "TFLiteSegmenter": "tflite_segmenter",
        "onnx": "interchange",
        "openvino": "interchange",
        "saved_model": "to_saved_model",
        "tflite": "to_tflite",
        "web": "to_web",
    },
)
