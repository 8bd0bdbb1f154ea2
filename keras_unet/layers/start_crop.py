"""Start crop: takes away what was padded at the end."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet.layers.center_crop import CenterCrop


@keras.saving.register_keras_serializable(package="keras_unet")
class StartCrop(CenterCrop):
    """Keeps the first pixels of each spatial axis, as many as a size or another tensor says.

    The inverse of `MirrorPadding(multiple=...)`, which pads at the end of each axis. Everything
    else, arguments included, is as in `CenterCrop`; any difference that is not negative will do.

    Args:
        size: Pixels that are kept, one integer for all spatial axes or one per axis. Defaults to
            None: the layer is called with `[x, reference]` and keeps the size of `reference`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Raises:
        ValueError: As `CenterCrop`, but odd differences are fine.

    Example:
        >>> np.asarray(keras_unet.layers.StartCrop(2)(np.arange(5.0)[None, :, None]))[0, :, 0]
        array([0., 1.], dtype=float32)
    """

    def _interval(self, size: Any, target: Any) -> tuple[Any, Any]:
        if isinstance(size, int) and isinstance(target, int) and target > size:
            raise ValueError(
                "StartCrop cannot give more pixels than there are. "
                f"Received: size={size}, target={target}"
            )
        return 0, target
