"""The paper's weight map: class weights, and background that gets heavier the narrower the gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_unet._arguments import check_one_of
from keras_unet.objects.instance_maps import as_instances
from keras_unet.targets.weight_terms import Terms, weights_with_terms

ClassWeights = Mapping[int, float] | Sequence[float]

WEIGHT_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"w0": 10.0, "sigma": 5.0, "rim": 0.0, "rim_sigma": 10.0, "class_weights": {}},
    "release": {
        "w0": 50.0,
        "sigma": 6.0,
        "rim": 0.9,
        "rim_sigma": 10.0,
        "class_weights": {0: 0.1},
    },
}
"""Named constants: of the paper, and of the software that its authors released later."""


def weight_map(
    instances: np.ndarray,
    w0: float | None = None,
    sigma: float | None = None,
    class_weights: ClassWeights | None = None,
    *,
    rim: float | None = None,
    rim_sigma: float | None = None,
    classes: np.ndarray | None = None,
    annotated: np.ndarray | None = None,
    inside: bool = False,
    spacing: Sequence[float] | None = None,
    preset: str | None = None,
) -> np.ndarray:
    """Weight of every pixel in the loss, by its class and by the gap between cells it lies in.

        w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2))
                      + rim exp(-d1(x)^2 / (2 rim_sigma^2))

    where `d1` and `d2` are the distances to the nearest and the second nearest cell, and `w_c` the
    weight of the pixel's class. The paper has the first line, with `w0 = 10` and `sigma` of about
    5 pixels. The second line raises background beside a cell, also a lone one; only the authors'
    later software has it (`preset="release"`).

    What the formula leaves open is settled so:

    * A distance goes to the nearest pixel *centre* of a cell, so background beside a cell has
      distance 1, and a gap of one pixel has `d1 + d2 = 2`, weight `w_c + 10 exp(-4 / 50)`.
    * With fewer than two cells `d2` is infinite and the border term 0.
    * Cells get no border term, as in the authors' software, unless `inside=True`.
    * Cells that touch have no background between them, hence no heavy pixel: carve a gap first
      with `separate_touching`.
    * The paper gives no formula for `w_c`; see `balanced_class_weights` for one.

    Computed in float64 from exact integer squared distances and rounded once. A border term that
    cannot change any of the (positive) class weights in float32 is 0, which is what makes it fast:
    milliseconds for 512 x 512, whatever the number of cells.

    Args:
        instances: Integer ids `(*spatial)` of rank 1 to 3, 0 = background. Compute the map after
            any geometric augmentation, and with the cells around a tile (`weight_reach` pixels).
        w0: Border weight. Defaults to the preset's, 10.
        sigma: Reach of the border weight in pixels (not squared). Defaults to the preset's, 5.
        class_weights: `w_c`: a sequence (one weight per class) or a dict (class -> weight, 1 for
            classes that it does not hold). Defaults to the preset's, 1 for every class.
        rim: Weight of background beside a cell. Defaults to the preset's, 0.
        rim_sigma: Reach of the rim weight in pixels. Defaults to the preset's, 10.
        classes: Integer class map of the same shape; pixels of a negative class get weight 0.
            Defaults to None, 0 for background and 1 for cells.
        annotated: Boolean map of the same shape, False where the annotation says nothing: weight
            0. Defaults to None, annotated everywhere.
        inside: Whether pixels of cells get the other terms too, with `d1 = 0`. Defaults to False.
        spacing: Size of a pixel along each axis; `sigma` and `rim_sigma` then have that unit.
            Defaults to None, pixels.
        preset: "paper" or "release" (see `WEIGHT_PRESETS`): the constants that are not given.
            Defaults to None, the same as "paper".

    Returns:
        The weights, float32 `(*spatial)`.

    Raises:
        ValueError: If `instances` is no instance image (a boolean mask, for instance), shapes do
            not match, a constant is out of range, or a class has no weight.

    Example:
        >>> weight_map(np.array([[1, 0, 2, 0, 0, 0]])).round(2)
        array([[ 1.  , 10.23,  1.  ,  8.26,  5.87,  3.78]], dtype=float32)
        >>> weight_map(np.array([[1, 0, 0]]), preset="release").round(2)
        array([[1.  , 1.  , 0.98]], dtype=float32)

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28

        Falk et al. "U-Net: deep learning for cell counting, detection, and morphometry." Nature
        Methods 16, 2019. doi:10.1038/s41592-018-0261-2
    """
    labels = as_instances(instances)
    constants = _constants(preset, class_weights, w0=w0, sigma=sigma, rim=rim, rim_sigma=rim_sigma)
    known = np.ones(labels.shape, bool) if annotated is None else _like(annotated, labels, bool)
    if classes is None:
        classes = np.minimum(labels, 1)
    else:
        classes = _like(classes, labels, np.integer)
        known = known & (classes >= 0)
    table = _class_table(constants["class_weights"], int(classes.max()))
    wanted = known if inside else known & (labels == 0)
    return weights_with_terms(labels, wanted, spacing, _terms(constants), table, classes, known)


def weight_reach(
    w0: float | None = None,
    sigma: float | None = None,
    class_weights: ClassWeights | None = None,
    *,
    rim: float | None = None,
    rim_sigma: float | None = None,
    preset: str | None = None,
) -> int:
    """How far around a pixel `weight_map` looks: the context that a tile's map needs.

    Args:
        w0: As in `weight_map`, like all arguments.
        sigma: As in `weight_map`.
        class_weights: As in `weight_map`.
        rim: As in `weight_map`.
        rim_sigma: As in `weight_map`.
        preset: As in `weight_map`.

    Returns:
        Number of pixels.

    Example:
        >>> weight_reach(), weight_reach(preset="release")
        (32, 64)
    """
    constants = _constants(preset, class_weights, w0=w0, sigma=sigma, rim=rim, rim_sigma=rim_sigma)
    return math.ceil(_terms(constants).reach)


def _constants(
    preset: str | None, class_weights: ClassWeights | None, **given: float | None
) -> dict[str, Any]:
    """The preset's constants with those that were given put over them, checked."""
    preset = "paper" if preset is None else preset
    check_one_of("preset", preset, tuple(WEIGHT_PRESETS))
    constants = WEIGHT_PRESETS[preset] | {k: v for k, v in given.items() if v is not None}
    for name in given:
        value, positive = constants[name], name.endswith("sigma")
        if not math.isfinite(value) or value < 0 or (positive and value == 0):
            least = "positive" if positive else "at least 0"
            raise ValueError(f"{name} must be {least}. Received: {name}={value}")
    if class_weights is not None:
        constants["class_weights"] = class_weights
    table = _weights_of(constants["class_weights"])
    if not all(math.isfinite(weight) and weight >= 0 for weight in table):
        raise ValueError(
            f"class_weights must be finite and at least 0. Received: class_weights={class_weights}"
        )
    return constants


def _weights_of(class_weights: ClassWeights) -> list[float]:
    """The weights that can occur, 1 included for a dict, which holds for the other classes."""
    if isinstance(class_weights, Mapping):
        return [1.0, *class_weights.values()]
    return list(class_weights)


def _class_table(class_weights: ClassWeights, highest: int) -> np.ndarray:
    """Weight of the classes 0..highest, float32."""
    if isinstance(class_weights, Mapping):
        table = [class_weights.get(index, 1.0) for index in range(highest + 1)]
    elif len(class_weights) > highest:
        table = list(class_weights)
    else:
        raise ValueError(
            f"class_weights needs a weight for each of the classes 0..{highest}. "
            f"Received: class_weights={class_weights}"
        )
    return np.asarray(table or [1.0], np.float32)


def _terms(constants: Mapping[str, Any]) -> Terms:
    """Both terms, each cut where it is lost in float32."""
    smallest = min((w for w in _weights_of(constants["class_weights"]) if w > 0), default=1.0)
    # below half a unit in the last place of the class weight; a quarter leaves no tie
    lost = float(np.spacing(np.float32(smallest))) / 4

    def term(height: float, width: float) -> tuple[float, float, float]:
        ratio = height / lost
        cut = width * math.sqrt(2 * math.log(ratio)) if ratio > 1 else 0.0
        return float(height), float(width), cut

    return Terms(
        border=term(constants["w0"], constants["sigma"]),
        rim=term(constants["rim"], constants["rim_sigma"]),
    )


def _like(value: Any, labels: np.ndarray, kind: Any) -> np.ndarray:
    """`value` as an array of the instances' shape, boolean or of an integer kind."""
    array = np.asarray(value)
    if kind is bool:
        array = array.astype(bool)
    if array.shape != labels.shape or not (kind is bool or np.issubdtype(array.dtype, kind)):
        raise ValueError(
            f"annotated and classes (integers) must have the instances' shape {labels.shape}. "
            f"Received: shape={array.shape}, dtype={array.dtype}"
        )
    return array
