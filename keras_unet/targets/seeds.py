"""Target for cells that touch tightly: foreground and depth in the cell, watershed from seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet._arguments import check_one_of
from keras_unet.objects.distance import two_nearest_squares
from keras_unet.objects.instance_maps import as_instances, check_spacing, dense_ids, drop_small
from keras_unet.objects.labelling import check_components, connected_components
from keras_unet.objects.watershed import flood_parts
from keras_unet.targets.activations import cast, sigmoid
from keras_unet.targets.base import Decoded, Target, check_channels

if TYPE_CHECKING:
    import keras

NORMALIZATIONS = ("instance", "clip")


class SeedTarget(Target):
    """Two channels: is this pixel in a cell, and how deep in it.

    Encoding: channel 0 is 1 in cells, 0 in background, -1 where not annotated. Channel 1 is the
    distance to the nearest pixel outside the pixel's own cell (1 at its border, also where another
    cell touches; the image's border does not count), limited to `clip` pixels and divided

    * `normalization="instance"`: by the cell's largest distance: every cell reaches 1, so one seed
      threshold suits cells of all sizes. A cell that the window cuts is measured by what is seen of
      it, which is the same for cells whose inner radius is at most `clip`, roughly.
    * `normalization="clip"`: by `clip`: the same in every window, but cells with a radius below
      `seed_threshold * clip` have no seed; choose a small `clip`.

    No gap is carved: the depth already falls to its lowest where cells touch.

    Decoding: the foreground is where `probability > threshold`; each connected part of it with
    `depth > seed_threshold` and at least `min_seed_size` pixels is a seed; a watershed on the depth
    gives every foreground pixel to a seed. A part of the foreground without a seed is one instance.
    Of the annotation's own encoding that gives the annotated cells again, up to a pixel where cells
    of different depth touch.

    Args:
        clip: Largest distance that is told apart, in pixels. Defaults to 25.
        normalization: "instance" or "clip", see above. Defaults to "instance".
        class_weights: Weights of background and cells. Defaults to None, both 1.
        distance_weight: Weight of the depth's error beside the cross-entropy. Defaults to 1.
        threshold: Of the foreground probability, between 0 and 1. Defaults to 0.5.
        seed_threshold: Of the depth, between 0 and 1. Defaults to 0.5.
        connectivity: Which pixels touch: 1 is faces only, the rank is corners too. Defaults to 1.
        min_size: Instances with fewer pixels become background. Defaults to 0.
        min_seed_size: Seeds with fewer pixels are none; they come from noise in the depth and split
            cells. Defaults to 0.
        spacing: Size of a pixel along each axis; distances (`clip`) then have that unit.
            Defaults to None, pixels.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> target = SeedTarget()
        >>> y, weights = target.encode(np.array([[1, 1, 1, 1, 2, 2, 2, 2, 2, 0]]))
        >>> y[..., 1].round(2)
        array([[1.  , 0.75, 0.5 , 0.25, 0.33, 0.67, 1.  , 0.67, 0.33, 0.  ]],
              dtype=float32)
        >>> target.decode(y).instances
        array([[1, 1, 1, 1, 2, 2, 2, 2, 2, 0]], dtype=int32)

    Reference:
        Naylor, Laé, Reyal, Walter. "Segmentation of Nuclei in Histopathology Images by Deep
        Regression of the Distance Map." IEEE Transactions on Medical Imaging 38, 2019.
        doi:10.1109/TMI.2018.2865709
    """

    name = "seeds"

    def __init__(
        self,
        clip: int = 25,
        normalization: str = "instance",
        class_weights: Sequence[float] | None = None,
        distance_weight: float = 1.0,
        threshold: float = 0.5,
        seed_threshold: float = 0.5,
        connectivity: int = 1,
        min_size: int = 0,
        min_seed_size: int = 0,
        spacing: Sequence[float] | None = None,
    ) -> None:
        if clip < 1:
            raise ValueError(f"clip must be at least 1 pixel. Received: clip={clip}")
        check_one_of("normalization", normalization, NORMALIZATIONS)
        for key, value in {"threshold": threshold, "seed_threshold": seed_threshold}.items():
            if not 0 < value < 1:
                raise ValueError(f"{key} must be between 0 and 1. Received: {key}={value}")
        weights = np.asarray((1.0, 1.0) if class_weights is None else class_weights, float)
        if weights.shape != (2,) or not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError(
                "class_weights needs two finite numbers of at least 0, for background and cells. "
                f"Received: class_weights={class_weights}"
            )
        check_components(connectivity, min_size)
        if min_seed_size < 0:
            raise ValueError(
                f"min_seed_size must be at least 0. Received: min_seed_size={min_seed_size}"
            )
        self.clip = int(clip)
        self.normalization = normalization
        self.class_weights = None if class_weights is None else weights.tolist()
        self.distance_weight = float(distance_weight)
        self.threshold = float(threshold)
        self.seed_threshold = float(seed_threshold)
        self.connectivity = int(connectivity)
        self.min_size = int(min_size)
        self.min_seed_size = int(min_seed_size)
        self.spacing = check_spacing(spacing)

    @property
    def num_outputs(self) -> int:
        """A foreground logit and a depth."""
        return 2

    @property
    def target_channels(self) -> int:
        """Foreground and depth."""
        return 2

    @property
    def halo(self) -> int:
        """The largest distance that is told apart."""
        return math.ceil(self.clip / min(self.spacing or [1.0]))

    def encode(
        self,
        instances: np.ndarray | None,
        classes: np.ndarray | None = None,
        annotated: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Foreground and depth of one annotated image (or window).

        Args:
            instances: Integer ids `(*spatial)`, 0 = background.
            classes: Class map of the same shape, of which only the sign counts: negative is not
                annotated. Defaults to None.
            annotated: Boolean map of the same shape. Defaults to None, everywhere.

        Returns:
            `(y, weights)`, float32 `(*spatial, 2)` and `(*spatial)`.

        Raises:
            ValueError: If there are no instances or shapes do not match.
        """
        if instances is None:
            raise ValueError(
                "SeedTarget needs instances; semantic data without them is for ClassTarget. "
                "Received: instances=None"
            )
        labels = as_instances(instances)
        known = np.ones(labels.shape, bool) if annotated is None else np.asarray(annotated, bool)
        if classes is not None:
            known = known & (np.asarray(classes) >= 0)
        if known.shape != labels.shape:
            raise ValueError(
                f"classes and annotated must have the instances' shape {labels.shape}. "
                f"Received: shape={known.shape}"
            )
        cells = labels > 0
        y = np.stack([cells, self._depth(labels, cells)], axis=-1, dtype=np.float32)
        y[~known] = (self.ignore_class, 0)
        factors = np.asarray(self.class_weights or (1.0, 1.0), np.float32)
        return y, np.where(known, factors[cells.astype(np.intp)], np.float32(0))

    def _depth(self, labels: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Normalized distance to the border of the own cell, float32."""
        # with background as one more id, the second nearest id is what lies around the own cell
        around = np.where(cells, labels, np.int32(-1))
        squares = two_nearest_squares(around, cells, self.spacing, reach=self.clip).pair[1]
        depth = np.where(cells, np.minimum(np.sqrt(squares, dtype=np.float64), self.clip), 0)
        if self.normalization == "clip":
            return (depth / self.clip).astype(np.float32)
        dense, ids = dense_ids(labels)
        peaks = np.ones(len(ids))
        np.maximum.at(peaks, dense[cells], depth[cells])
        return (depth / peaks[dense]).astype(np.float32)

    def loss(self) -> keras.losses.Loss:
        """Cross-entropy of the foreground and absolute error of the depth inside cells."""
        from keras_unet.losses.seed_distance import SeedDistance

        return SeedDistance(distance_weight=self.distance_weight, ignore_class=self.ignore_class)

    def metrics(self) -> Sequence[keras.metrics.Metric]:
        """Mean intersection over union of background and foreground."""
        from keras_unet.metrics.segmentation import ForegroundIoU

        return [ForegroundIoU(ignore_class=self.ignore_class, name="iou")]

    def activate(self, logits: Any, ops: Any = np) -> Any:
        """Sigmoid of the foreground, depth limited to 0..1, float32."""
        values = check_channels(logits, 2, "logits", ops)
        return ops.concatenate(
            [sigmoid(values[..., :1], ops), ops.clip(values[..., 1:], 0, 1)], axis=-1
        )

    def pixel_classes(self, maps: Any, ops: Any = np) -> Any:
        """1 where the foreground's probability is above the threshold, int32."""
        return cast(self.foreground(maps, ops) > self.threshold, "int32", ops)

    def foreground(self, maps: Any, ops: Any = np) -> Any:
        """The first map."""
        return check_channels(maps, 2, "probabilities", ops)[..., 0]

    def maps_of(self, classes: np.ndarray) -> np.ndarray:
        """Foreground and depth 1 in cells: every connected part is one instance."""
        return np.repeat((classes > 0)[..., None], 2, axis=-1).astype(np.float32)

    def decode(self, probabilities: np.ndarray) -> Decoded:
        """Instances by a watershed from seeds; classes are 0 and 1.

        Args:
            probabilities: `(*spatial, 2)` of one image, as `activate` gives it.

        Returns:
            `Decoded(classes, instances)`, int32 `(*spatial)`.

        Raises:
            ValueError: If the number of channels is not 2.
        """
        values = check_channels(probabilities, 2, "probabilities")
        cells, depth = self.pixel_classes(values) > 0, values[..., 1]
        deep = cells & (depth > self.seed_threshold)
        seeds = connected_components(deep, self.connectivity, self.min_seed_size)
        parts = connected_components(cells, self.connectivity)
        instances = flood_parts(-depth, seeds, parts, self.connectivity, unseeded=True)
        instances = drop_small(instances, self.min_size)  # numbers have no holes yet
        return Decoded((instances > 0).astype(np.int32), instances)
