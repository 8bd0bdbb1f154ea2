"""Ways out of Python: SavedModel for TF-Serving, TFLite, ONNX, OpenVINO, and a page.

Every format has a parity test against `Segmenter.predict`; rules of targets come from the target.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    # Modules have other names than the functions, which an import of them would hide.
    {
        "interchange": ["onnx", "openvino"],
        "tflite_segmenter": ["TFLiteSegmenter"],
        "to_saved_model": ["saved_model"],
        "to_tflite": ["tflite"],
        "to_web": ["web"],
    },
)
