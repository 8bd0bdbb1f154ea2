"""What Keras takes in silence: data that never ends, callbacks that keep the worst."""

import keras
import numpy as np
import pytest

from keras_unet.losses import WeightedCrossentropy
from keras_unet.metrics import MeanIoU
from keras_unet.models import UNet, UNetPlusPlus

pytestmark = pytest.mark.core

QUIET = {"verbose": 0, "shuffle": False}
X = np.random.default_rng(0).random((2, 8, 10, 1), dtype="float32")
Y = (X[..., 0] > 0.5).astype("int32")


def compiled(model=None, **options):
    model = model or UNet((None, None, 1), filters=1, depth=1, padding="same")
    model.compile("adam", WeightedCrossentropy(), metrics=[MeanIoU(2)], **options)
    return model


def repeated():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensors((X, Y)).repeat()


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return X, Y


@pytest.mark.parametrize("data", [repeated, Endless], ids=["tf.data", "PyDataset"])
def test_data_that_never_ends(data):
    model = compiled()
    with pytest.raises(ValueError, match=r"the data never ends.*steps_per_epoch"):
        model.fit(data(), epochs=2, **QUIET)
    with pytest.raises(ValueError, match=r"validation_data never ends.*validation_steps"):
        model.fit(X, Y, validation_data=data(), verbose=0)
    with pytest.raises(ValueError, match="never ends, and steps is"):
        model.evaluate(data(), verbose=0)
    with pytest.raises(ValueError, match="never ends, and steps is"):
        model.predict(data(), verbose=0)
    shares = {"validation_data": data(), "validation_steps": 1}
    assert len(model.fit(data(), steps_per_epoch=2, **shares, **QUIET).epoch) == 1
    model.evaluate(data(), steps=1, verbose=0)
    assert len(model.predict(data(), steps=1, verbose=0)) == 2


def test_heads_that_are_trained_together():
    model = UNetPlusPlus((None, None, 1), filters=1, depth=1, deep_supervision=True)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        compiled(model.training_model()).fit(repeated(), verbose=0)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras says it of such data
def test_data_that_ends_or_does_not_tell():
    tf = pytest.importorskip("tensorflow")
    known = tf.data.Dataset.from_tensors((X, Y))
    unknown = known.filter(lambda x, y: True)
    for data in (known, unknown):
        assert len(compiled().fit(data, validation_data=data, **QUIET).epoch) == 1


def test_more_classes_than_outputs():
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensors((X, Y))
    data.num_classes = 3
    with pytest.raises(ValueError, match=r"class 2 in y, but the model has 2 outputs.*classes=3"):
        compiled().fit(data, verbose=0)
    with pytest.raises(ValueError, match="class 2 in y"):
        compiled().fit(X, Y, validation_data=data, verbose=0)
    with pytest.raises(ValueError, match=r"class 3 in y, but the model has 2 outputs"):
        compiled().fit(X, Y * 3, verbose=0)
    with pytest.raises(ValueError, match=r"class 2 in y"):
        compiled().fit(X, Y, validation_data=(X, 2 * Y), verbose=0)
    ignoring = UNet((None, None, 1), filters=1, depth=1, padding="same")
    ignoring.compile("adam", WeightedCrossentropy(ignore_class=2))
    assert len(ignoring.fit(X, 2 * Y, verbose=0).epoch) == 1


class Rising(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["val_mean_iou"] = 0.1 * (epoch + 1)


def test_mode_auto_takes_the_higher_score(tmp_path):
    path = str(tmp_path / "{epoch}.keras")
    saving = keras.callbacks.ModelCheckpoint(path, "val_mean_iou", save_best_only=True)
    stopping = keras.callbacks.EarlyStopping("val_mean_iou", patience=1)
    options = {"validation_data": (X, Y), "epochs": 3, "verbose": 0}
    if getattr(saving, "monitor_op", None) is None:  # Keras asks the metric
        history = compiled().fit(X, Y, callbacks=[Rising(), saving, stopping], **options)
        assert len(history.epoch) == len(list(tmp_path.iterdir())) == 3
    else:  # Keras 3.10 goes by the name
        with pytest.raises(ValueError, match=r"ModelCheckpoint would take a lower.*mode='max'"):
            compiled().fit(X, Y, callbacks=[Rising(), saving, stopping], **options)


@pytest.mark.filterwarnings("error")
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="XLA by TensorFlow")
def test_xla_where_it_is_asked_for():
    assert compiled().jit_compile is False
    model = compiled(jit_compile=True)
    assert model.jit_compile is True
    assert np.isfinite(model.fit(X[:, :7], Y[:, :7], verbose=0).history["loss"]).all()
    heads = UNetPlusPlus((None, None, 1), filters=1, depth=1, deep_supervision=True)
    assert compiled(heads.training_model(), jit_compile=True).jit_compile is True


def test_heads_come_back_from_a_file(tmp_path, load_elsewhere):
    model = UNetPlusPlus((None, None, 1), filters=1, depth=1, deep_supervision=True)
    heads = model.training_model()
    heads.save(tmp_path / "heads.keras")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", keras.ops.convert_to_numpy(heads(X)))
    answer = load_elsewhere(*(tmp_path / name for name in ("heads.keras", "x.npy", "y.npy")))
    assert "error" not in answer
