"""What people look at: pictures, charts, the HTML report of a run, masks of image files.

Pages are one file each and need no network.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "error_pictures": ["write_error_pictures"],
        "html": ["Report"],
        "results": ["predict_files"],
        "run_report": ["write_run_report"],
    },
    submodules=("charts", "pictures"),
)
