"""The ends of the pipeline: a raw image -> what the network sees; maps -> a segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet._arguments import check_real
from keras_unet.data.resolution import Resolution, resize_image, resize_maps, working_shape
from keras_unet.errors import UsageError
from keras_unet.segmentation import Segmentation

if TYPE_CHECKING:
    from keras_unet.normalization import Normalization
    from keras_unet.targets.base import Target

LAYOUTS = {1: ("(W,)", "(W, C)"), 2: ("(H, W)", "(H, W, C)"), 3: ("(D, H, W)", "(D, H, W, C)")}


@dataclass(frozen=True)
class Preparation:
    """From a raw image to what the network sees: channels, grid, normalization.

    Attributes:
        rank: Number of spatial axes.
        channels: Channels that the network takes; None for any number.
        normalization: How grey values are scaled, with numbers from the whole image.
        resolution: Size of the network's grid as a fraction of the image's.
    """

    rank: int
    channels: int | None
    normalization: Normalization
    resolution: Resolution = 1.0

    def __call__(self, image: Any) -> np.ndarray:
        """The whole way.

        Args:
            image: As `as_image`.

        Returns:
            `(*grid, C)` float32.

        Raises:
            ValueError: If the image does not fit the network.
        """
        raw = as_image(image, self.rank, self.channels)
        raw = resize_image(raw, working_shape(raw.shape[:-1], self.resolution))
        return self.normalize(raw, self.statistics(raw))

    def part(self, raw: Any) -> np.ndarray:
        """A part of an image with the network's channels, checked, not normalized."""
        raw = np.asarray(raw)
        check_real(raw, "image")
        return fit_channels(raw, self.rank, self.channels)

    def statistics(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offset and scale of each channel, from the whole image `(*spatial, C)` or a sample."""
        return self.normalization.statistics(raw[None] if raw.ndim == 2 else raw)

    @staticmethod
    def normalize(raw: np.ndarray, statistics: tuple[Any, Any]) -> np.ndarray:
        """`(raw - offset) * scale`, float32, of an image or of any part of it."""
        offset, scale = statistics
        values = raw.astype(np.float32)
        values -= np.asarray(offset, np.float32)
        values *= np.asarray(scale, np.float32)
        return values


def finish(target: Target, maps: np.ndarray, shape: Sequence[int] | None = None) -> Segmentation:
    """From a network's activated outputs to a segmentation.

    Args:
        target: Decodes the maps.
        maps: `(*grid, num_outputs)` float32, as `Target.activate` gives them.
        shape: Spatial shape of the image. Defaults to None, that of the maps.

    Returns:
        A `Segmentation` of the image's shape.
    """
    if shape is not None:
        maps = resize_maps(maps, shape)
    return Segmentation(maps, *target.decode(maps))


def as_image(image: Any, rank: int, channels: int | None) -> np.ndarray:
    """The image as a raw array with the network's channels.

    A network of 3 channels takes a grey image, which is repeated, and one with an alpha channel
    (8 or 16 bits, as in files), which is dropped.

    Args:
        image: `(*spatial)`, grey, or `(*spatial, C)`, any real dtype.
        rank: Number of spatial axes.
        channels: Channels that the network takes; None for any number.

    Returns:
        `(*spatial, C)`, the dtype unchanged, maybe a read-only view.

    Raises:
        ValueError: If it is no such array, with what to do about it.
    """
    if isinstance(image, (str, bytes)) or hasattr(image, "__fspath__"):
        raise ValueError(
            "image must be an array; read a file with keras_unet.data.read_image(path) first. "
            f"Received: image={image!r}"
        )
    if isinstance(image, (list, tuple)):
        raise ValueError(
            "image must be one array; call predict once for each of several images. Received: a "
            f"{type(image).__name__} of length {len(image)}"
        )
    array = np.asarray(image)
    check_real(array, "image")
    return fit_channels(array, rank, channels)


def fit_channels(array: np.ndarray, rank: int, channels: int | None) -> np.ndarray:
    """Gives an array the channels that the network takes, as in `as_image`, without a copy."""
    plain, full = LAYOUTS[rank]
    shape = tuple(array.shape)
    if 0 in shape:
        raise ValueError(f"image must not be empty. Received: image.shape={shape}")
    if len(shape) == rank and channels in (1, None):
        return array[..., None]
    if channels == 3 and (len(shape) == rank or shape[rank:] == (1,)):
        return np.broadcast_to(array.reshape(*shape[:rank], 1), (*shape[:rank], 3))
    if channels == 3 and shape[rank:] == (4,) and _is_file_depth(array.dtype):
        return array[..., :3]
    wanted = f"{channels} channels" if channels != 1 else "1 channel"
    layouts = f"{plain} or {full}" if channels in (1, 3, None) else full
    problem = f"image must be {layouts} with {wanted if channels else 'any number of channels'}"
    if len(shape) == rank + 1 and channels in (shape[-1], None):
        return array
    python, command = _hints(shape, rank, channels)
    raise UsageError(f"{problem}. Received: image.shape={shape}", python, command)


def _is_file_depth(dtype: np.dtype) -> bool:
    """Whether it is uint8 or uint16, in any byte order."""
    return dtype.kind == "u" and dtype.itemsize <= 2


def _hints(shape: tuple[int, ...], rank: int, channels: int | None) -> tuple[str, str]:
    """What may have happened to an image of the wrong shape, in Python and on the command line."""
    other = "use images as the network was trained with"
    if len(shape) == rank:
        return f"repeat a grey image: np.repeat(image[..., None], {channels}, -1)", other
    if len(shape) == rank + 1 and shape[0] == channels:
        return "put the channels last: np.moveaxis(image, 0, -1)", "say --axes CYX"
    if len(shape) == rank + 1 and channels == 1 and shape[-1] in (3, 4):
        command = "say --channels 1" if shape[-1] == 3 else "say --channel 1 or another one"
        return "make a colour image grey first: image[..., :3].mean(-1)", command
    if len(shape) == rank + 1 and (shape[-1], channels) == (4, 3):
        return "drop the alpha channel: image[..., :3]", "say --channel 1,2,3"
    if len(shape) == rank + 2:
        return "give one image without a batch axis: image[0]", "save each image as a file"
    return f"give {other.removeprefix('use ')}", other
