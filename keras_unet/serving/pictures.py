"""Images as the files that travel to a server, and masks as they come back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from keras_unet.serving.contract import ServingError

ENCODED_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
"""Files that the server reads itself; others are read here and sent as PNG."""


def encoded(image: bytes | str | os.PathLike | np.ndarray) -> bytes:
    """An image as the bytes of a picture file.

    Args:
        image: Bytes, which are taken as they are; a path; or a uint8 array, grey or RGB.

    Returns:
        The file's own bytes where the server can read them, else a PNG.

    Raises:
        ValueError: If an array is no uint8 picture.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        if path.suffix.lower() in ENCODED_ENDINGS:
            return path.read_bytes()
        from keras_unet.files.reading import read_image

        image = read_image(path)
    import cv2

    values = np.asarray(image)
    channels = values.shape[2:] or (1,)
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or channels[0] not in (1, 3):
        raise ValueError(
            "segment sends 8-bit pictures, grey or RGB; send other images to probabilities. "
            f"Received: an image of {values.dtype} {values.shape}"
        )
    if not values.size:
        raise ValueError(f"the image has no pixels. Received: shape {values.shape}")
    picture = np.ascontiguousarray(values[..., ::-1] if channels[0] == 3 else values)
    return cv2.imencode(".png", picture)[1].tobytes()


def decode_mask(png: bytes) -> np.ndarray:
    """The uint8 values `(H, W)` of a grey PNG file."""
    import cv2

    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2:
        raise ServingError("DATA_LOSS", "the server's mask is no grey PNG")
    return mask
