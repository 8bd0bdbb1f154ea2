"""Every score says that it is better when it is higher, as Keras's callbacks of mode "auto" ask."""

import inspect

import keras
import pytest

from keras_unet import metrics, targets
from keras_unet.metrics import FirstHead, MeanIoU, MeanOfHeads

pytestmark = pytest.mark.core

OF_HEADS = (FirstHead, MeanOfHeads)
CLASSES = [cls for name in metrics.__all__ if inspect.isclass(cls := getattr(metrics, name))]
TARGETS = [targets.create(name) for name in ("classes", "multitask", "seeds")]
OF_TARGETS = [metric for target in TARGETS for metric in target.metrics()]


def of(cls):
    return cls(MeanIoU(2), heads=2) if cls in OF_HEADS else cls()


@pytest.mark.parametrize("metric", [*map(of, CLASSES), *OF_TARGETS], ids=lambda m: type(m).__name__)
def test_higher_is_better(metric):
    assert isinstance(metric, keras.metrics.Metric)
    assert metric._direction == "up"


def test_a_metric_without_a_direction_gets_none():
    assert not hasattr(MeanOfHeads(keras.metrics.Mean(name="mean"), heads=2), "_direction")
