"""Procedural microscopy: touching cells with exact instances, for demos, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from keras_unet.sample import Sample

# Brightness model, in units of the full scale of the image.
BACKGROUND = 0.16
BODY = 0.39
SEAM_WIDTH = 1.6  # pixels, half width of the dark line between touching cells
FAR = 9.0  # relative distance where no cell is near
PHOTONS = 220.0  # photons a pixel collects at full scale


def synthetic_cells(
    count: int,
    shape: Sequence[int] = (512, 512),
    seed: int = 0,
    radius: float = 20.0,
    density: float = 0.75,
    dtype: str = "uint8",
) -> list[Sample]:
    """Draws images of irregular cells that touch along thin, faint borders.

    Cells grow in crowded patches from jittered lattice points, as ellipsoids in smoothly warped
    coordinates; where two would overlap, each pixel goes to the cell whose (relative) centre is
    nearer, so that neighbours share a wobbly border without a background pixel in between. The
    picture has bodies of differing brightness with granules and a nucleus, a thin dark seam of
    varying contrast between neighbours, out-of-focus haze and debris that is no cell, uneven
    light, a point-spread blur, and photon plus read noise (photon noise in its normal
    approximation). Seams are weaker than the granules: a threshold merges touching cells, a network
    must learn borders.

    Sample `i` depends on `seed`, `i` and the other arguments only, not on `count`.

    Args:
        count: Number of samples, at least 0.
        shape: Spatial shape `(H, W)` or `(D, H, W)` in pixels. Defaults to `(512, 512)`.
        seed: Non-negative seed. Defaults to 0.
        radius: Mean radius of a cell in pixels, at least 4. Defaults to 20.
        density: Share of the lattice that is populated, above 0 to 1 (a confluent layer).
            Defaults to 0.75.
        dtype: `"uint8"` or `"uint16"`. Defaults to `"uint8"`.

    Returns:
        A list of `Sample`s: `image` `(*shape, 1)` of `dtype` and `instances` `(*shape)` int32 with
        ids 1..n, each one connected region.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> sample = synthetic_cells(1, shape=(96, 128), seed=3)[0]
        >>> sample.image.shape, sample.image.dtype, sample.instances.shape
        ((96, 128, 1), dtype('uint8'), (96, 128))
    """
    shape = tuple(int(size) for size in shape)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(f"shape must be 2 or 3 sizes of at least 1. Received: shape={shape}")
    if count < 0 or seed < 0:
        raise ValueError(
            f"count and seed must not be negative. Received: count={count}, seed={seed}"
        )
    if not radius >= 4:
        raise ValueError(f"radius must be at least 4 px. Received: radius={radius}")
    if not 0 < density <= 1:
        raise ValueError(f"density must be above 0 and at most 1. Received: density={density}")
    if dtype not in ("uint8", "uint16"):
        raise ValueError(f"dtype must be 'uint8' or 'uint16'. Received: dtype={dtype!r}")
    samples = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        cells = _grow(rng, shape, radius, density)
        picture = np.rint(_paint(rng, cells, radius) * np.iinfo(dtype).max)
        image = picture.clip(0, np.iinfo(dtype).max).astype(dtype)[..., None]
        samples.append(Sample(image, instances=cells.instances, name=f"synthetic-{index:04d}"))
    return samples


class _Cells(NamedTuple):
    """Geometry of one image; every array has its spatial shape.

    Attributes:
        instances: int32 ids, 0 = background.
        relative: Distance to the centre of the nearest cell, 1 on the outline of a free cell.
        margin: How much nearer that cell is than the next one, likewise, 0 on a shared border.
    """

    instances: np.ndarray
    relative: np.ndarray
    margin: np.ndarray


def _smooth_noise(rng: np.random.Generator, shape: Sequence[int], spacing: float) -> np.ndarray:
    """Cubic B-spline noise of about unit variance whose features are `spacing` pixels wide."""
    grid = [int(np.ceil(size / spacing)) + 3 for size in shape]
    field = rng.standard_normal(grid, dtype=np.float32)
    for size in shape:  # each turn expands the first axis and moves it to the end
        cell, t = np.divmod(np.arange(size) / spacing, 1.0)
        s = 1 - t  # distances from the knot after and the knot before
        weights = np.stack([s**3, 4 - 6 * t**2 + 3 * t**3, 4 - 6 * s**2 + 3 * s**3, t**3])
        weights /= np.sqrt((weights**2).sum(axis=0))  # the sum of squares is the variance
        basis = np.zeros((field.shape[0], size), np.float32)
        basis[cell.astype(int) + np.arange(4)[:, None], np.arange(size)] = weights
        field = np.tensordot(field, basis, axes=(0, 0))
    return field


def _seeds(
    rng: np.random.Generator, shape: Sequence[int], radius: float, density: float
) -> np.ndarray:
    """Jittered lattice points `(n, rank)` inside crowded patches, also just outside the image."""
    step = 1.8 * radius
    axes = [np.arange(-step, size + step, step) + rng.uniform(0, step) for size in shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    crowding = _smooth_noise(rng, points.shape[:-1], 2.5)
    crowding += 0.5 * rng.standard_normal(crowding.shape)
    points[1::2, ..., -1] += 0.5 * step  # every other row, so that no columns show
    points = points[crowding <= np.quantile(crowding, density)]
    return points + rng.uniform(-0.35, 0.35, points.shape) * step


def _grow(
    rng: np.random.Generator, shape: tuple[int, ...], radius: float, density: float
) -> _Cells:
    """Claims pixels for each cell in turn inside its own window."""
    rank = len(shape)
    points = _seeds(rng, shape, radius, density)
    axes = np.meshgrid(*[np.arange(size, dtype=np.float32) for size in shape], indexing="ij")
    warped = [axis + 0.16 * radius * _smooth_noise(rng, shape, 0.9 * radius) for axis in axes]
    best = np.full(shape, FAR, np.float32)
    second = np.full(shape, FAR, np.float32)
    owner = np.zeros(shape, np.int32)
    sizes = radius * rng.lognormal(0.0, 0.15, len(points))
    reach = int(np.ceil(2.1 * radius))
    for ident, (point, size) in enumerate(zip(points, sizes, strict=True), start=1):
        window = _window(point, reach, shape)
        inverse = _random_ellipsoid(rng, rank, size)
        offsets = [warp[window] - np.float32(c) for warp, c in zip(warped, point, strict=True)]
        squared = np.zeros_like(offsets[0])
        for row in inverse:
            squared += sum(float(w) * o for w, o in zip(row, offsets, strict=True)) ** 2
        distance = np.sqrt(squared)
        wins = distance < best[window]
        second[window] = np.where(wins, best[window], np.minimum(second[window], distance))
        owner[window][wins] = ident
        best[window] = np.where(wins, distance, best[window])
    owner[best >= 1] = 0
    instances = _keep_whole(owner, smallest=0.12 * radius**rank)
    return _Cells(instances, best, second - best)


def _window(centre: Sequence[float], reach: int, shape: Sequence[int]) -> tuple[slice, ...]:
    """The box of `reach` pixels around a point, cut to the image; empty where it lies outside."""
    middle = [int(c) for c in centre]
    return tuple(
        slice(max(c - reach, 0), min(max(c + reach + 1, 0), size))
        for c, size in zip(middle, shape, strict=True)
    )


def _random_ellipsoid(rng: np.random.Generator, rank: int, size: float) -> np.ndarray:
    """Matrix that maps a randomly turned ellipsoid of mean radius `size` onto the unit ball."""
    rotation = np.linalg.qr(rng.standard_normal((rank, rank)))[0]
    axes = np.exp(rng.uniform(-0.3, 0.3, rank))
    axes *= size / np.prod(axes) ** (1 / rank)
    return rotation / axes[:, None]


def _keep_whole(owner: np.ndarray, smallest: float) -> np.ndarray:
    """Keeps the largest piece of each cell where it has at least `smallest` pixels, ids 1..n."""
    kept = np.zeros_like(owner)
    count = 0
    for ident, window in enumerate(ndimage.find_objects(owner), start=1):
        if window is None:
            continue
        pieces, number = ndimage.label(owner[window] == ident)
        areas = np.bincount(pieces.ravel())[1:]
        if number and areas.max() >= smallest:
            count += 1
            kept[window][pieces == areas.argmax() + 1] = count
    return kept


def _paint(rng: np.random.Generator, cells: _Cells, radius: float) -> np.ndarray:
    """Light on the camera, 1 = full scale, float32."""
    shape = cells.instances.shape
    inside = cells.instances > 0
    levels = np.concatenate([[0.0], rng.lognormal(0.0, 0.18, cells.instances.max())])
    level = levels.astype(np.float32)[cells.instances]
    granules = 0.10 * _smooth_noise(rng, shape, 2.2) + 0.10 * _smooth_noise(rng, shape, 6.0)
    # The body fades towards a free outline, the nucleus is a soft disc of its own contrast.
    body = level * (1.0 + granules) * (1.08 - 0.4 * np.minimum(cells.relative, 1) ** 4)
    nucleus = 0.5 - 0.5 * np.tanh((cells.relative - 0.42) / 0.06)
    body *= 1.0 + rng.uniform(0.1, 0.35) * nucleus
    # Half of `margin * radius` is about the distance to a shared border in pixels.
    seam = np.exp(-((0.5 * radius * cells.margin / SEAM_WIDTH) ** 2))
    contrast = np.clip(0.46 + 0.16 * _smooth_noise(rng, shape, radius), 0.18, 0.75)
    body *= 1.0 - contrast * seam
    haze = BACKGROUND * (1.0 + 0.22 * _smooth_noise(rng, shape, 2 * radius) + 0.3 * granules)
    picture = np.where(inside, BACKGROUND + BODY * body, haze).astype(np.float32)
    _add_debris(rng, picture, radius)
    picture = ndimage.gaussian_filter(picture, 0.9)
    light = 1.0 + 0.13 * _smooth_noise(rng, shape, 0.6 * max(shape))
    picture *= np.clip(light, 0.6, 1.4)
    spread = np.sqrt(np.maximum(picture, 0) / PHOTONS + 0.01**2)
    return picture + spread * rng.standard_normal(shape, dtype=np.float32)


def _add_debris(rng: np.random.Generator, picture: np.ndarray, radius: float) -> None:
    """Adds a few specks, small and bright, that are no cells."""
    area = radius**picture.ndim
    reach = 5
    for _ in range(rng.poisson(picture.size / (60.0 * area))):
        centre = [int(rng.integers(size)) for size in picture.shape]
        window = _window(centre, reach, picture.shape)
        offsets = np.ogrid[window]
        squared = sum((o - c) ** 2 for o, c in zip(offsets, centre, strict=True))
        width = rng.uniform(0.8, 2.0)
        picture[window] += rng.uniform(0.15, 0.5) * np.exp(-squared / (2 * width**2))
