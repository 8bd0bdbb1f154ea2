"""make_strategy and strategy_scope in a process with one CPU device."""

import keras
import pytest

from keras_unet.training import make_strategy, strategy_scope

pytestmark = pytest.mark.core

ILL_CASES = [
    (("mirrord",), {}, "strategy must be one of"),
    ((None, ["CPU:0"]), {}, 'devices need strategy="mirrored"'),
    (("mirrored", ["GPU:7"]), {}, "some of the visible"),
    (("mirrored", ["GPU"]), {}, "some of the visible"),
    (("mirrored", []), {}, "some of the visible"),
]


@pytest.mark.parametrize(("args", "kwargs", "message"), ILL_CASES)
def test_errors_say_what_was_received(args, kwargs, message):
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        make_strategy(*args, **kwargs)


@pytest.mark.parametrize("name", [None, "none", "default"])
def test_default_is_no_strategy(name):
    tf = pytest.importorskip("tensorflow")
    assert make_strategy(name) is None
    with strategy_scope(name):
        assert not tf.distribute.has_strategy()


def test_mirrored_on_another_backend_names_its_alternative(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"DataParallel.*on the jax backend"):
        make_strategy("mirrored")


@pytest.mark.parametrize("device", ["CPU:0", "/cpu:0", "/device:CPU:0", "cpu"])
def test_mirrored_works_with_one_device(device):
    tf = pytest.importorskip("tensorflow")
    strategy = make_strategy("mirrored", [device])
    assert make_strategy("mirrored", [device]) is strategy
    assert strategy.num_replicas_in_sync == 1
    with strategy_scope(strategy):
        assert tf.distribute.get_strategy() is strategy


def test_scope_takes_a_name():
    tf = pytest.importorskip("tensorflow")
    with strategy_scope("mirrored"):
        assert isinstance(tf.distribute.get_strategy(), tf.distribute.MirroredStrategy)
