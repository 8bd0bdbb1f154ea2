"""Pictures, charts and the HTML report of a run."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Report": "html",
        "predict_files": "results",
        "write_error_pictures": "error_pictures",
        "write_run_report": "run_report",
    },
    submodules=("charts", "pictures"),
)
