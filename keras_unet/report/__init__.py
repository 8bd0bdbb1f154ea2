"""Pictures, charts and the HTML report of a run."""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Report": "html",
        "run_demo": "demo",
        "write_run_report": "run",
    },
    submodules=("charts", "pictures"),
)
