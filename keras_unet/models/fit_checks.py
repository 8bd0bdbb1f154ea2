"""What is asked before a model is fitted or evaluated: what Keras would take in silence."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np

from keras_unet.errors import UsageError
from keras_unet.losses.pixels import PixelLoss


class CheckedModel(keras.Model):
    """A functional model that refuses data that never ends and callbacks that keep the worst."""

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.fit`.

        Raises:
            ValueError: If data is endless and its number of steps is not given, `y` has more
                classes than the model has outputs, or a callback would keep the worst score.
        """
        given = _given(super().fit, args, kwargs)
        _refuse_endless("x", given, "steps_per_epoch")
        _refuse_endless("validation_data", given, "validation_steps")
        held_out = given.get("validation_data")
        for data in (given.get("x"), held_out):
            self._check_classes(getattr(data, "num_classes", None))
        for y in (given.get("y"), held_out[1] if isinstance(held_out, tuple) else None):
            self._check_classes(_classes_in(y, getattr(self, "loss", None)))
        _refuse_wrong_direction(given.get("callbacks"), self)
        return super().fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`.

        Raises:
            ValueError: If data is endless and `steps` is not given.
        """
        _refuse_endless("x", _given(super().evaluate, args, kwargs), "steps")
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.predict`.

        Raises:
            ValueError: If data is endless and `steps` is not given.
        """
        _refuse_endless("x", _given(super().predict, args, kwargs), "steps")
        return super().predict(*args, **kwargs)

    def _check_classes(self, num_classes: int | None) -> None:
        """Raises a `ValueError` if data of so many classes does not fit; None is not known."""


@keras.saving.register_keras_serializable(package="keras_unet")
class TrainingModel(CheckedModel):
    """What `training_model()` gives: other outputs of a model, whose layers it shares."""


def is_endless(data: Any) -> bool:
    """Whether data says of itself that it never ends: `tf.data.Dataset`s and `PyDataset`s can."""
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches is None
    cardinality = getattr(data, "cardinality", None)
    if cardinality is None:
        return False
    number = cardinality() if callable(cardinality) else cardinality
    return bool(int(number) == -1)  # tf.data.INFINITE_CARDINALITY


def _classes_in(y: Any, loss: Any) -> int | None:
    """One more than the highest class in an array of labels; None for anything else."""
    if not (isinstance(loss, PixelLoss) and loss.takes_labels and isinstance(y, np.ndarray)):
        return None
    labels = y[..., 0] if loss.weights_in_target else y
    if loss.ignore_class is not None:
        labels = labels[labels != loss.ignore_class]
    highest = labels.max(initial=0)
    return int(highest) + 1 if np.isfinite(highest) else None


def _given(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of Keras's method by name; it complains itself of wrong ones."""
    try:
        return dict(inspect.signature(method).bind_partial(*args, **kwargs).arguments)
    except TypeError:
        return {}


def _refuse_endless(name: str, given: dict[str, Any], steps: str) -> None:
    if given.get(steps) is None and is_endless(given.get(name)):
        raise UsageError(
            f"{'the data' if name == 'x' else name} never ends, and {steps} is not given",
            f"say how many batches to take, {steps}=100",
        )


def _refuse_wrong_direction(callbacks: Any, model: keras.Model) -> None:
    """Keras before 3.11 goes by the name: what it does not know is better when lower."""
    metrics = keras.tree.flatten(getattr(model._compile_metrics, "_user_metrics", None))
    rising = {m.name for m in metrics if getattr(m, "_direction", None) == "up"}
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        better = getattr(callback, "monitor_op", None)
        monitor = str(getattr(callback, "monitor", "")).removeprefix("val_")
        if better is not None and monitor in rising and better(0.0, 1.0):
            raise UsageError(
                f"{type(callback).__name__} would take a lower {callback.monitor!r} for a better "
                "one",
                "give it mode='max'",
            )
