"""A look at label maps before training starts, so that a 0/255 mask is named and not learnt."""

from __future__ import annotations

import numpy as np

_SHOWN = 10


def check_labels(
    labels: np.ndarray,
    num_classes: int,
    ignore_class: int | None = None,
    name: str = "labels",
) -> None:
    """Raises a helpful error unless a label map holds the classes `0..num_classes-1` only.

    Losses and metrics cannot raise from inside a compiled graph: there a label out of range gives
    NaN. Call this once on the data (an image or a batch) before training.

    Args:
        labels: Label map of any shape and any real dtype, NumPy or convertible to it.
        num_classes: Number of classes; 2 for a network with one sigmoid channel.
        ignore_class: A label that is allowed besides them. Defaults to None.
        name: What to call the map in the message, for instance its file name.

    Raises:
        ValueError: If a value is not a whole number or not a class; the message lists the values
            seen and says what to do with a 0/255 mask or a grey image.

    Example:
        >>> check_labels(np.array([[0, 1], [1, 1]]), num_classes=2)
        >>> check_labels(np.array([[0, 255], [255, 255]], "uint8"), num_classes=2, name="a.png")
        Traceback (most recent call last):
            ...
        ValueError: a.png holds values that are no class: ...
    """
    labels = np.asarray(labels)
    if labels.dtype == bool or labels.size == 0:
        return
    allowed = (labels >= 0) & (labels < num_classes)
    if ignore_class is not None:
        allowed |= labels == ignore_class
    if np.issubdtype(labels.dtype, np.floating):
        allowed &= labels == np.floor(labels)
    if allowed.all():
        return
    values = np.unique(labels)
    ignored = "" if ignore_class is None else f" or {ignore_class} (ignored)"
    raise ValueError(
        f"{name} holds values that are no class: expected whole numbers 0..{num_classes - 1}"
        f"{ignored}; values seen: {_listing(values)}. {_advice(values, num_classes)} "
        f"Received: num_classes={num_classes}, dtype={labels.dtype}, shape={labels.shape}"
    )


def _listing(values: np.ndarray) -> str:
    """The values, or the first and last of many."""
    if len(values) <= _SHOWN:
        return ", ".join(f"{value:g}" for value in values)
    half = _SHOWN // 2
    first, last = (", ".join(f"{v:g}" for v in part) for part in (values[:half], values[-half:]))
    return f"{first}, ..., {last} ({len(values)} different)"


def _advice(values: np.ndarray, num_classes: int) -> str:
    """What the values look like, and the way out."""
    if len(values) <= 2 and values[0] == 0:
        return "A binary mask stored as 0 and another number becomes classes by `mask > 0`."
    if len(values) <= num_classes:
        return "Sparse values become classes by `np.searchsorted(values, labels)`."
    return (
        "Many values: this may be an instance map (`instances > 0` gives classes), a grey image, "
        "or a mask blurred by resizing or by JPEG."
    )
