"""How often classes occur in a data set, and the weights that make up for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def class_frequencies(
    class_maps: Iterable[np.ndarray], num_classes: int, ignore_class: int | None = -1
) -> np.ndarray:
    """Share of each class among all pixels of a data set.

    Args:
        class_maps: Integer (or boolean) class maps of any shapes.
        num_classes: Number of classes K; values are 0..K-1.
        ignore_class: Label of pixels that are not counted. Defaults to -1.

    Returns:
        Frequencies `(num_classes,)`, float64, that sum to 1.

    Raises:
        ValueError: If a map is not integer, has a value that is no class, or no pixel counts.

    Example:
        >>> class_frequencies([np.array([[0, 0, 1]]), np.array([[0, -1]])], num_classes=3)
        array([0.75, 0.25, 0.  ])
    """
    counts = np.zeros(num_classes, np.int64)
    for class_map in class_maps:
        values = np.asarray(class_map).ravel()
        if not (np.issubdtype(values.dtype, np.integer) or values.dtype == bool):
            raise ValueError(f"class maps must be integers. Received: dtype={values.dtype}")
        if ignore_class is not None:
            values = values[values != ignore_class]
        if values.size and not 0 <= values.min() <= values.max() < num_classes:
            raise ValueError(
                f"class maps must hold 0..{num_classes - 1} (and ignore_class={ignore_class}). "
                f"Received: values {values.min()}..{values.max()}"
            )
        counts += np.bincount(values.astype(np.int64), minlength=num_classes)
    if counts.sum() == 0:
        raise ValueError("no pixel counts: there is no class map, or all of them are ignored")
    return counts / counts.sum()


def balanced_class_weights(frequencies: Sequence[float] | np.ndarray) -> list[float]:
    """Class weights in inverse proportion to the classes' frequencies.

        w_c = 1 / (K f_c)

    over the K classes that occur, so that each of them has the same total weight and the mean
    weight over the pixels of the data set is 1. A class that does not occur gets weight 1. Take
    the frequencies of the whole data set: those of one image explode where it is (nearly) empty.

    Args:
        frequencies: Share of each class, as `class_frequencies` gives it (or counts).

    Returns:
        One weight per class.

    Raises:
        ValueError: If frequencies are negative, not finite or all 0.

    Example:
        >>> balanced_class_weights([0.75, 0.25, 0.0])
        [0.6666666666666666, 2.0, 1.0]
    """
    shares = np.asarray(frequencies, np.float64)
    if shares.ndim != 1 or not np.isfinite(shares).all() or (shares < 0).any() or not shares.any():
        raise ValueError(
            "frequencies must be one number per class, at least 0 and not all 0. "
            f"Received: frequencies={frequencies}"
        )
    shares = shares / shares.sum()
    occurs = shares > 0
    weights = np.ones(len(shares))
    weights[occurs] = 1 / (occurs.sum() * shares[occurs])
    return weights.tolist()
