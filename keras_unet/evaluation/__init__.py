"""Scores: of a segmenter, or of predictions of any program in files, by the field's measures.

Which file belongs to which sample is decided in `matching`, what its numbers mean in
`prediction_kinds`; the measures themselves are in `metrics`.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "predictions": ["read_predictions"],
        "scores": [
            "confusion_matrix",
            "evaluate_samples",
            "instance_measures",
            "instance_scores",
            "pixel_scores",
            "score",
        ],
    },
)
