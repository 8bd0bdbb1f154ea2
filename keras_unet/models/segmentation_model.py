"""What every architecture is: a functional Keras model that knows its geometry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_unet.geometry.base import Geometry
from keras_unet.models.any_size import checks_only


class SegmentationModel(keras.Model):
    """Base class of the architectures: a functional model, its geometry and its arguments.

    A subclass builds its graph from its arguments and hands everything over. It is saved by its
    arguments, so that a `.keras` file stays readable when the code that builds the graph changes.

    Args:
        inputs: Input tensor of the graph, `(batch, *spatial, channels)`.
        outputs: Logits, `(batch, *spatial, num_classes)`, float32.
        geometry: Which sizes go in and come out.
        arguments: The constructor's arguments, plain values, for `get_config`.
        dtype: The dtype policy of the layers.
        **kwargs: `name` and `trainable`.
    """

    heads: int = 1
    """Outputs that are trained side by side; with more than one there is `supervised()`."""

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        geometry: Geometry,
        arguments: dict[str, Any],
        dtype: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.dtype_policy = dtype
        self.geometry = geometry
        self.supports_jit = _xla_pays()
        self._arguments = arguments

    @classmethod
    def check_arguments(cls, **arguments: Any) -> None:
        """Checks arguments as the constructor does, without building anything.

        Args:
            **arguments: Some of the constructor's arguments.

        Raises:
            ValueError: If one is out of its range, or they do not fit together.
        """
        keras.activations.get(arguments.get("activation"))
        with checks_only():
            cls(**arguments)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Runs the network; a valid one refuses sizes that it would segment out of place."""
        shape = getattr(inputs, "shape", ())
        if self.geometry.padding == "valid" and len(shape) == self.geometry.rank + 2:
            for axis in range(1, len(shape) - 1):
                if shape[axis] is not None:
                    self.geometry.check(int(shape[axis]), name=f"inputs.shape[{axis}]")
        return super().call(inputs, training=training, mask=mask)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **self._arguments,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SegmentationModel:
        """Makes the model from `get_config`."""
        return cls(**config)


def _xla_pays() -> bool:
    """Whether `compile` may choose XLA by itself (`jit_compile="auto"`).

    Not for TensorFlow on a CPU: there XLA leaves the oneDNN kernels, and a training step takes two
    to four times as long (`benchmarks/training_step.py`).
    """
    if keras.config.backend() != "tensorflow":
        return True
    return any(not device.lower().startswith("cpu") for device in keras.distribution.list_devices())


def check_input_shape(input_shape: Any) -> tuple[int | None, ...]:
    """The shape `(*spatial, channels)` as a tuple, or a `ValueError` that says what is wrong."""
    shape = tuple(input_shape)
    known = [size for size in shape[:-1] if size is not None] + list(shape[-1:])
    if not 2 <= len(shape) <= 4 or any(not isinstance(n, int) or n < 1 for n in known):
        raise ValueError(
            "input_shape must be 1 to 3 spatial sizes (None for any) and the number of channels, "
            f"such as (None, None, 1). Received: input_shape={input_shape}"
        )
    return shape


def check_positive(**values: Any) -> None:
    """Raises a `ValueError` for a value that is no positive integer."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer. Received: {name}={value}")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raises a `ValueError` for a value that is not among the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {tuple(choices)}. Received: {name}={value!r}")


def check_rate(name: str, value: float) -> None:
    """Raises a `ValueError` for a rate outside [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1). Received: {name}={value}")
