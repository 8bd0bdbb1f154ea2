"""Keras's layer is the reference: same numbers, same files; another operation in training."""

import sys

import keras
import numpy as np
import pytest
from layer_tester import run_layer

from keras_unet.layers import BatchNormalization
from keras_unet.models import UNet, blocks

pytestmark = pytest.mark.core

Keras = keras.layers.BatchNormalization
SHAPES = [(8, 3), (2, 12, 3), (3, 4, 2, 3), (2, 3, 2, 2, 3)]


@pytest.fixture
def tf():
    if keras.config.backend() != "tensorflow":
        pytest.skip("the fused operation is TensorFlow's")
    return pytest.importorskip("tensorflow")


def image(*shape, seed=0):
    return np.random.default_rng(seed).normal(2, 3, shape).astype("float32")


def made(layer_class, shape, **options):
    """A layer with weights of its own."""
    layer = layer_class(**{"momentum": 0.9, **options})
    layer.build(shape)
    generator = np.random.default_rng(1)
    layer.set_weights([generator.uniform(0.5, 2, w.shape) for w in layer.weights])
    return layer


def step(tf, layer, x, **call):
    """Outputs, gradients and averages of a training step, and the operations of its graph."""
    x = tf.cast(x, layer.compute_dtype)
    factors = image(*x.shape, seed=2)

    @tf.function(input_signature=[tf.TensorSpec((None, *x.shape[1:]), x.dtype)])
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, **{"training": True, **call})
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * factors)
        return outputs, tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)])

    arrays = [np.asarray(a) for a in tf.nest.flatten(run(x))]
    arrays += [keras.ops.convert_to_numpy(w) for w in layer.non_trainable_weights]
    return arrays, {
        operation.type for operation in run.get_concrete_function().graph.get_operations()
    }


def compared(tf, shape, x=None, call=None, **options):
    """Steps of Keras's layer and of ours, pairs of arrays; and whether ours is fused."""
    x = image(*shape) if x is None else x
    (wanted, plain), (found, ours) = (
        step(tf, made(c, shape, **options), x, **(call or {})) for c in (Keras, BatchNormalization)
    )
    assert "FusedBatchNormV3" not in plain
    assert [a.dtype for a in found] == [a.dtype for a in wanted]
    pairs = [(a.astype("float64"), b.astype("float64")) for a, b in zip(found, wanted, strict=True)]
    return pairs, "FusedBatchNormV3" in ours


@pytest.mark.backend
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_a_layer_of_every_backend(shape, training):
    x = image(*shape)
    layers = [made(c, shape, epsilon=0.01) for c in (Keras, BatchNormalization)]
    wanted, found = (keras.ops.convert_to_numpy(layer(x, training=training)) for layer in layers)
    tolerance = 2e-6 if training and keras.config.backend() == "tensorflow" else 0
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    for before, after in zip(*(layer.get_weights() for layer in layers), strict=True):
        np.testing.assert_allclose(after, before, rtol=tolerance)
    run_layer(BatchNormalization(), x)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_training_step_is_that_of_keras(tf, shape, policy):
    pairs, fused = compared(tf, shape, dtype=policy)
    assert fused
    for found, wanted in pairs:  # half types round the same float32 numbers
        np.testing.assert_allclose(
            found, wanted, rtol=1e-6 if policy == "float32" else 8e-3, atol=3e-6
        )


@pytest.mark.parametrize("nested", [False, True])
def test_xla_gets_the_operations_of_keras(tf, nested):
    x = image(2, 6, 5, 3) / 3 + 30_000  # where XLA's variance of the fused operation is negative
    layers = [made(c, x.shape, momentum=0) for c in (Keras, BatchNormalization)]
    found = []
    for layer in layers:
        inner = tf.function(layer) if nested else layer
        run = tf.function(lambda x, inner=inner: inner(x, training=True), jit_compile=True)
        found.append([run(tf.constant(x)).numpy(), *layer.get_weights()])
    assert np.isfinite(found[1][0]).all()
    for wanted, ours in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_a_tensorflow_that_does_not_tell_of_xla(tf, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow.python.ops.control_flow_util", None)
    _, fused = compared(tf, (3, 4, 2, 3))
    assert not fused


@pytest.mark.parametrize("count", [1, 2, 24])
def test_the_average_is_of_the_variance_of_the_batch(tf, count):
    x = image(1, count, 3)
    layer = BatchNormalization(momentum=0)
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_mean, x.mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, x.var((0, 1)), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("options", [{"center": False}, {"scale": False}, {"axis": 3}])
def test_fused_without_a_weight_and_with_a_counted_axis(tf, options):
    pairs, fused = compared(tf, (3, 4, 2, 3), **options)
    assert fused
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=3e-6)


def test_squares_beyond_float16_and_a_constant_channel(tf):
    x = image(2, 6, 5, 3) * 200 + 500
    x[..., 1] = 7
    pairs, _ = compared(tf, x.shape, x, dtype="mixed_float16")
    for found, wanted in pairs:
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=5e-3)  # float16 near 18: 0.016


RARE = {
    "inference": ({}, {"training": False}),
    "frozen": ({"trainable": False}, {}),
    "float64": ({"dtype": "float64"}, {}),
    "another axis": ({"axis": 1}, {}),
    "a mask": ({}, {"mask": np.arange(24).reshape(3, 4, 2) % 3 > 0}),
    "synchronized": ({"synchronized": True}, {}),
    "renorm": ({"renorm": True}, {}),
    "an epsilon that the operation raises": ({"epsilon": 1e-6}, {}),
}


@pytest.mark.parametrize("case", RARE)
def test_everything_else_is_left_to_keras(tf, case):
    options, call = RARE[case]
    try:
        Keras(**options)
    except (TypeError, ValueError):
        pytest.skip(f"this Keras knows no {case}")
    pairs, fused = compared(tf, (3, 4, 2, 3), call=call, **options)
    assert not fused
    for found, wanted in pairs:
        np.testing.assert_array_equal(found, wanted)


def test_inputs_that_are_not_cast_are_computed_in_float32(tf):
    x = tf.cast(image(3, 4, 2, 3), tf.float16)
    layers = [made(c, x.shape, autocast=False) for c in (Keras, BatchNormalization)]
    wanted, found = (layer(x, training=True) for layer in layers)
    assert found.dtype == wanted.dtype == "float32"
    np.testing.assert_array_equal(found, wanted)


def test_sizes_that_are_known_only_when_the_graph_runs(tf):
    for shape in SHAPES:
        layer = made(BatchNormalization, shape)
        run = tf.function(layer).get_concrete_function(
            tf.TensorSpec((*[None] * (len(shape) - 1), 3)), training=True
        )
        (outputs,) = (run(tf.constant(image(*shape))),)
        assert outputs.shape == shape
        assert run.structured_outputs.shape[-1] == 3


def test_a_gradient_of_the_gradient(tf):
    found = []
    for layer_class in (Keras, BatchNormalization):
        layer, x = made(layer_class, (2, 4, 3, 3)), tf.constant(image(2, 4, 3, 3))
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(layer(x, training=True) ** 3)
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        found.append(outer.gradient(penalty, x).numpy())
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-3 * np.abs(found[0]).max())


def network(layer_class, monkeypatch, dtype="float32"):
    """A U-Net that is normalized by this class."""
    monkeypatch.setattr(blocks, "BatchNormalization", layer_class)
    keras.utils.set_random_seed(0)
    return UNet((8, 12, 1), filters=4, depth=1, padding="same", normalization="batch", dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_training_ends_at_the_weights_of_keras(dtype, monkeypatch):
    x = image(10, 8, 12, 1)
    y = (x[..., 0] > 2).astype("int32")
    weights = []
    for layer_class in (Keras, BatchNormalization):
        model = network(layer_class, monkeypatch, dtype)
        assert type(model.get_layer("contract1_conv1_norm")) is layer_class
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.05), loss)
        before = model.get_weights()
        model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    assert max(np.abs(a - b).max() for a, b in zip(before, weights[1], strict=True)) > 0.1
    for wanted, found in zip(*weights, strict=True):
        np.testing.assert_allclose(found, wanted, atol=5e-6 if dtype == "float32" else 5e-3)


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
@pytest.mark.parametrize("classes", [(Keras, BatchNormalization), (BatchNormalization, Keras)])
def test_files_of_either_class_are_read_by_the_other(classes, name, monkeypatch, tmp_path):
    writer, reader = classes
    model = network(writer, monkeypatch)
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.1, 1, w.shape) for w in model.weights])
    x = image(1, 8, 12, 1)
    wanted = keras.ops.convert_to_numpy(model(x))
    if name.endswith(".keras"):
        model.save(tmp_path / name)
        monkeypatch.setattr(blocks, "BatchNormalization", reader)
        loaded = keras.saving.load_model(tmp_path / name)
    else:
        model.save_weights(tmp_path / name)
        loaded = network(reader, monkeypatch)
        loaded.load_weights(tmp_path / name)
    assert type(loaded.get_layer("contract1_conv1_norm")) is reader
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded(x)), wanted)


@pytest.mark.parametrize("layer_class", [Keras, BatchNormalization])
def test_plain_models_come_back_with_the_class_they_had(layer_class, monkeypatch, tmp_path):
    model = network(layer_class, monkeypatch)
    keras.Model([model.input], model.output).save(tmp_path / "plain.keras")
    loaded = keras.saving.load_model(tmp_path / "plain.keras")
    assert type(loaded.get_layer("contract1_conv1_norm")) is layer_class
    x = image(1, 8, 12, 1)
    found, wanted = loaded([x]), model(x)
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (found, wanted)))
