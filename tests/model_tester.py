"""What every architecture must do. A test module makes one class for each configuration:

class TestSame(ModelTester, name="unet", parameters=1234, filters=4, padding="same"):
    pass
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from answers import answer

from keras_unet import models


def to_numpy(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def window(rank: int, start: int, stop: int) -> tuple[slice, ...]:
    """Index of the same range along every spatial axis."""
    return (slice(None), *[slice(start, stop)] * rank)


class ModelTester:
    """The shared checks on `models.create(**arguments)`, which has so many `parameters`."""

    __test__ = False
    arguments: ClassVar[dict[str, Any]]
    parameters: ClassVar[int]

    def __init_subclass__(cls, parameters: int, **arguments: Any) -> None:
        cls.__test__ = True
        cls.parameters, cls.arguments = parameters, arguments

    @pytest.fixture
    def model(self) -> keras.Model:
        cls = type(self)
        if "_model" not in vars(cls):  # one for all tests of the class
            keras.utils.set_random_seed(0)
            cls._model = models.create(**self.arguments)
        return cls._model

    @staticmethod
    def shape(model: keras.Model, index: int = 0) -> tuple[int, ...]:
        """Legal sizes, another one along each axis."""
        geometry = model.geometry
        return tuple(
            geometry.min_size + (axis + index + 1) * geometry.stride
            for axis in range(geometry.rank)
        )

    @staticmethod
    def image(model: keras.Model, shape: tuple[int, ...], batch: int = 1) -> np.ndarray:
        shape = (batch, *shape, model.input_shape[-1])
        return np.random.default_rng(0).normal(size=shape).astype("float32")

    def test_parameters(self, model):
        assert model.count_params() == self.parameters

    def test_output_shape_and_dtype(self, model):
        classes = model.output_shape[-1]
        for index in range(2):
            shape = self.shape(model, index)
            logits = answer(model, self.image(model, shape, batch=2))
            expected = tuple(model.geometry.output_size(size) for size in shape)
            assert tuple(logits.shape) == (2, *expected, classes)
            assert keras.backend.standardize_dtype(logits.dtype) == "float32"

    def test_any_size_or_a_clear_error(self, model):
        odd = tuple(size + 1 for size in self.shape(model))
        if model.geometry.padding == "same":
            smallest = (1,) * len(odd)
            for shape in (odd, smallest):
                assert tuple(answer(model, self.image(model, shape)).shape[1:-1]) == shape
        else:
            if model.geometry.stride == 1:  # takes every size but those below the smallest
                odd = (model.geometry.min_size - 1,) * len(odd)
            with pytest.raises(ValueError, match=r"not a legal input size.*nearest are"):
                model(self.image(model, odd))

    def test_one_training_step_changes_every_weight(self, model):
        copy = models.create(**self.arguments)
        copy.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        before = [to_numpy(weight) for weight in copy.trainable_weights]
        x = self.image(copy, self.shape(copy), batch=2)
        y = np.zeros(copy.compute_output_shape(x.shape)[:-1], "int32")
        y[..., ::2] = 1
        loss = copy.train_on_batch(x, y)
        assert np.isfinite(loss)
        for weight, old in zip(copy.trainable_weights, before, strict=True):
            assert not np.array_equal(to_numpy(weight), old), weight.path

    def test_loads_in_a_fresh_process(self, model, tmp_path, load_elsewhere):
        if keras.config.backend() != "tensorflow" and not isinstance(model, models.UNet):
            pytest.skip("what is registered is the same on every backend")
        x = self.image(model, self.shape(model))
        paths = [tmp_path / name for name in ("model.keras", "x.npy", "y.npy")]
        model.save(paths[0])
        np.save(paths[1], x)
        assert load_elsewhere(*paths) == {"geometry": str(model.geometry)}
        np.testing.assert_array_equal(np.load(paths[2]), to_numpy(answer(model, x)))

    def test_mixed_precision_keeps_float32_logits(self, model):
        mixed = models.create(**self.arguments, dtype="mixed_bfloat16")
        mixed.set_weights(model.get_weights())
        x = self.image(model, self.shape(model))
        logits = answer(mixed, x)
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
        assert mixed.layers[2].compute_dtype == "bfloat16"
        assert mixed.get_config()["dtype"]["config"]["name"] == "mixed_bfloat16"
        expected = to_numpy(answer(model, x))
        np.testing.assert_allclose(to_numpy(logits), expected, atol=0.1 * np.abs(expected).max())

    def test_a_tile_on_the_grid_equals_the_whole(self, model):
        """Pixels outside the margin do not matter."""
        geometry = model.geometry
        stride, margin = geometry.stride, geometry.margin
        tile = geometry.nearest(2 * margin + stride)[1]
        image = self.image(model, (tile + 2 * stride,) * geometry.rank)
        inside = window(geometry.rank, stride, stride + tile)
        whole = to_numpy(answer(model, image))
        part = to_numpy(answer(model, image[inside]))
        start = 0 if geometry.padding == "valid" else margin
        stop = start + geometry.usable_size(tile)
        kept = part[window(geometry.rank, start, stop)]
        same = whole[window(geometry.rank, stride + start, stride + stop)]
        np.testing.assert_allclose(kept, same, atol=1e-5 * np.abs(whole).max())

    def test_any_size_in_one_graph(self, model):
        if keras.config.backend() != "tensorflow":
            pytest.skip("traces a tf.function")
        import tensorflow as tf

        rank, channels = model.geometry.rank, model.input_shape[-1]
        spec = tf.TensorSpec((None, *[None] * rank, channels), tf.float32)
        run = tf.function(lambda x: model(x, training=False), input_signature=[spec])
        assert run.get_concrete_function().output_shapes[-1] == model.output_shape[-1]
        shapes = [self.shape(model)]
        shapes += [(1, 3, 2)[:rank]] if model.geometry.padding == "same" else []
        for shape in shapes:
            x = self.image(model, shape)
            expected = to_numpy(model(x, training=False))
            np.testing.assert_allclose(run(x).numpy(), expected, rtol=1e-4, atol=1e-5)
