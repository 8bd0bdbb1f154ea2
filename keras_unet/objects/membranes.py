"""Closes broken membranes in a map of cell probabilities by watershed lines."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from keras_unet._compiled import compiled
from keras_unet.objects.labelling import neighbourhood

_DAM = -2
_UNSEEN = -1


def close_membranes(probabilities: np.ndarray, depth: float, sigma: float = 0.0) -> np.ndarray:
    """Draws the missing pieces of membranes: lines between cells that a narrow pass connects.

    The map is seen as a landscape of heights 1 - p, where cells are valleys and membranes ridges.
    Water rises in it; where two valleys meet and both are deeper than `depth` below the pass, a dam
    of one pixel is built, and its pixels get probability 0. The valleys that are shallower are
    parts of one cell and flow together. So a membrane that is visible on most of its length, but
    faint at one place, is closed there, while noise inside a cell makes no dam.

    Args:
        probabilities: Probability of *cell*, `(*spatial)` of one image, 0..1, any real dtype.
        depth: Smallest depth of both valleys below the pass, above 0; about 0.2 to 0.6.
        sigma: Standard deviation in pixels of the Gaussian that smooths the landscape. Defaults to
            0, not smoothed.

    Returns:
        The probabilities, 0 on the dams; a new array, float32 `(*spatial)`.

    Raises:
        ValueError: If an argument is out of its range or the map has NaN.

    Example:
        >>> close_membranes(np.array([[0.9, 0.9, 0.55, 0.9, 0.9]]), depth=0.3)
        array([[0.9, 0.9, 0. , 0.9, 0.9]], dtype=float32)
        >>> close_membranes(np.array([[0.9, 0.9, 0.55, 0.9, 0.9]]), depth=0.4)
        array([[0.9 , 0.9 , 0.55, 0.9 , 0.9 ]], dtype=float32)

    Reference:
        Grimaud. "A new measure of contrast: the dynamics." Proc. SPIE 1769, 1992.
        doi:10.1117/12.60650
    """
    values = np.array(probabilities, np.float32)
    if not depth > 0 or not sigma >= 0:
        raise ValueError(
            "depth must be above 0 and sigma must not be negative. "
            f"Received: depth={depth}, sigma={sigma}"
        )
    if values.ndim < 1 or values.size == 0:
        raise ValueError(f"probabilities have no pixels. Received: shape={values.shape}")
    if np.isnan(values).any():
        raise ValueError(f"probabilities have {int(np.isnan(values).sum())} NaN values")
    heights = 1 - values.astype(np.float64)
    if sigma:
        heights = ndimage.gaussian_filter(heights, sigma, mode="mirror")
    # A rim that no water enters spares the flood every test for the image's border.
    surface = np.pad(heights, 1, constant_values=np.inf)
    order = np.argsort(surface, axis=None, kind="stable")[: heights.size]
    strides = np.asarray(surface.strides) // surface.itemsize
    steps = (np.argwhere(neighbourhood(values.ndim, 1)) - 1) @ strides
    basins = _flood(surface.ravel(), order, steps, depth).reshape(surface.shape)
    values[basins[(slice(1, -1),) * values.ndim] == _DAM] = 0
    return values


@compiled
def _flood(surface, order, steps, depth):  # pragma: no cover (compiled)
    """Basin of every pixel, or `_DAM`; basins are named by a pixel and joined by union-find."""
    basins = np.full(surface.size, _UNSEEN, np.int64)
    for pixel in order:
        level = surface[pixel]
        deepest = _UNSEEN
        for step in steps:  # the deepest valley that the water at this pixel touches
            root = _root(basins, basins[pixel + step])
            if root >= 0 and (deepest < 0 or surface[root] < surface[deepest]):
                deepest = root
        if deepest < 0:
            basins[pixel] = pixel
            continue
        dam = False
        for step in steps:
            root = _root(basins, basins[pixel + step])
            if root >= 0 and root != deepest:
                dam = dam or level - surface[root] >= depth
        basins[pixel] = _DAM if dam else deepest
        if not dam:
            for step in steps:
                root = _root(basins, basins[pixel + step])
                if root >= 0:
                    basins[root] = deepest
    return basins


@compiled
def _root(basins, name):  # pragma: no cover (compiled)
    """The pixel that names a basin now; pixels without a basin stay what they are."""
    while name >= 0 and basins[name] != name:
        parent = basins[name]
        basins[name] = basins[parent]  # shorter for the next one
        name = parent
    return name
