"""What every architecture is: a functional Keras model that knows its geometry."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_unet.errors import UsageError
from keras_unet.geometry.base import Geometry
from keras_unet.models.any_size import checks_only
from keras_unet.models.fit_checks import CheckedModel, TrainingModel
from keras_unet.models.layer_changes import as_built, changes_since, restore


class SegmentationModel(CheckedModel):
    """Base class of the architectures: a functional model that knows its geometry and arguments.

    A subclass builds its graph from its arguments and hands it over. What its constructor was
    called with, with the defaults, is remembered and is what the model is saved by: a `.keras` file
    stays readable when the code that builds the graph changes. What was changed in single layers
    since (frozen, another rate or activation) is saved beside it.

    Networks that keep the image's size mirror it at its end to a size that their poolings divide,
    and crop the logits back. Features of inner layers are those of the mirrored image: 52 x 52 of
    50 x 50 pixels at two poolings.

    Every architecture takes these arguments; its own documentation has the others:

    - `input_shape`: `(*spatial, channels)` with 1 to 3 spatial sizes, None for any size.
    - `num_classes`: channels of the logits, 2 by default.
    - `activation`: activation function of the layers or its name, "relu" by default (not V-Net,
      which learns its own).
    - `dtype`: dtype policy, such as "mixed_bfloat16"; the logits are float32 under each. None, the
      default, is the global policy.
    - `name`: name of the model, by default that under which `models.create` makes it.
    - `trainable`: whether the weights are trained, True by default.

    Args:
        inputs: Input tensor of the graph, `(batch, *spatial, channels)`.
        outputs: Logits, `(batch, *spatial, num_classes)`, float32.
        geometry: Which sizes go in and come out.
        dtype: The dtype policy of the layers.
        **kwargs: `name` and `trainable`.

    Attributes:
        geometry: The geometry, also after loading.
        heads: Names of the outputs of `training_model()` where it gives several that a target must
            know, each with the channels of the logits, in their order; else empty.
    """

    heads: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _remembering(cls.__init__)  # type: ignore[method-assign]

    def __init__(
        self, inputs: Any, outputs: Any, geometry: Geometry, dtype: Any, **kwargs: Any
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.dtype_policy = dtype
        self.geometry = geometry

    def training_model(self) -> keras.Model:
        """What is compiled to train this model: itself, or a model that shares all its layers.

        Returns:
            A model whose weights come in the order of this one's.
        """
        return self

    def _sharing(self, outputs: Any, suffix: str) -> keras.Model:
        """A model of other outputs that shares the layers, named after this one."""
        return TrainingModel(self.inputs[0], outputs, name=f"{self.name}_{suffix}")

    def _check_classes(self, num_classes: int | None) -> None:
        channels = self.outputs[0].shape[-1]
        if num_classes is not None and num_classes > max(channels, 2):
            raise UsageError(
                f"class {num_classes - 1} in y, but the model has {channels} "
                f"output{'s'[: channels != 1]}",
                f"build it with num_classes={num_classes}",
            )

    def training_loss(self, loss: keras.losses.Loss) -> keras.losses.Loss:
        """The loss of `training_model()`, from the one for this model's logits."""
        return loss

    def training_metrics(self, metrics: Sequence[keras.metrics.Metric]) -> list[Any]:
        """The metrics of `training_model()`, from those for this model's logits."""
        return list(metrics)

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
        """The constructor's arguments as plain values, and what was changed in layers since.

        Raises:
            ValueError: If something was changed that cannot be stored.
        """
        changes = changes_since(self, self._as_built)
        config = {**self._arguments, "input_shape": tuple(self._arguments["input_shape"])}
        if "activation" in config:
            function = keras.activations.get(config["activation"])
            config["activation"] = keras.activations.serialize(function)
        if "margin" in config:  # None was settled by what the layers read: saved as a number
            config["margin"] = self.geometry.margin
        return {
            **config,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
            "trainable": self.trainable,
            **({"changed_layers": changes} if changes else {}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SegmentationModel:
        """Makes the model from `get_config`."""
        arguments = {name: value for name, value in config.items() if name != "changed_layers"}
        model = cls(**arguments)
        restore(model, config.get("changed_layers", {}))
        return model


def _remembering(constructor: Callable[..., None]) -> Callable[..., None]:
    """The constructor, which notes what it was called with in `_arguments`."""
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def remembering(self: Any, *args: Any, **kwargs: Any) -> None:
        outermost = "_arguments" not in vars(self)  # that of a subclass is what is saved
        if outermost:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            _, *arguments = bound.arguments.items()
            object.__setattr__(self, "_arguments", dict(arguments))  # not tracked by Keras
        constructor(self, *args, **kwargs)
        if outermost:
            object.__setattr__(self, "_as_built", as_built(self))

    remembering.__signature__ = signature  # type: ignore[attr-defined]  # Keras looks at it
    return remembering


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
