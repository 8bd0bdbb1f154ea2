"""The SavedModel: its numbers are those of `Segmenter.predict`, its folder is what servers want."""

import json

import numpy as np
import pytest
import tensorflow as tf
from export_cases import make, picture

import keras_unet as ku
from keras_unet.export import to_saved_model
from keras_unet.export.to_saved_model import saved_model
from keras_unet.normalization import Normalization
from keras_unet.targets import ClassTarget, SeedTarget

SIZES = [(1, 1), (1, 9), (4, 4), (37, 50), (64, 61), (97, 131)]


def export(segmenter, tmp_path, **options):
    options.setdefault("warmup_sizes", [])
    folder = saved_model(segmenter, tmp_path / "cells", **options)
    return tf.saved_model.load(str(folder)).signatures


def probabilities(signatures, image):
    batch = tf.constant(image[None].astype(np.float32))
    return signatures["serving_default"](images=batch)["probabilities"].numpy()[0]


def classes(signatures, image):
    return signatures["classes"](images=tf.constant(image[None]))["classes"].numpy()[0]


# === The numbers ===


def assert_same(found, expected):
    """Bit for bit; but TensorFlow takes numbers below the smallest normal float32 for zero."""
    assert np.abs(found - expected).max() <= np.finfo(np.float32).tiny


@pytest.fixture(scope="module")
def grey_signatures(grey_version):
    return tf.saved_model.load(str(grey_version)).signatures


@pytest.mark.parametrize("shape", SIZES)
def test_any_size_is_bit_for_bit_that_of_predict(shape, grey, grey_signatures):
    image = picture(*shape)
    expected = grey.predict(image)
    found = probabilities(grey_signatures, image)
    assert found.dtype == np.float32
    assert np.array_equal(found, grey.predict(image.astype(np.float32)).probabilities)
    assert np.array_equal(classes(grey_signatures, image), expected.classes)


VARIANTS = {
    "valid": {"padding": "valid", "depth": 1, "max_tile": 60, "batch_size": 2},
    "three classes": {"num_classes": 3, "target": ClassTarget(3, threshold=0.4)},
    "seeds": {"target": SeedTarget(threshold=0.6)},
    "colour": {"channels": 3, "max_tile": (60, 80)},
    "one number for all channels": {
        "channels": 3,
        "normalization": Normalization(low=2, high=97, per_channel=False),
    },
    "none": {"normalization": Normalization("none")},
    "bilinear, batch normalization": {"upsampling": "bilinear", "normalization_layer": "batch"},
    "fixed size": {"shape": (60, 64, 1)},
    "fixed size, the whole margin": {"shape": (60, 64, 1), "margin": "full"},
    "the whole margin": {"margin": "full", "max_tile": 48},
    "no margin": {"margin": 0, "max_tile": (48, 60)},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_kind_of_segmenter_is_bit_for_bit_the_same(name, tmp_path):
    segmenter = make(**{"depth": 1, **VARIANTS[name]})
    signatures = export(segmenter, tmp_path)
    image = picture(83, 70, segmenter.channels)
    found = probabilities(signatures, image)
    assert_same(found, segmenter.predict(image.astype(np.float32)).probabilities)
    assert np.array_equal(classes(signatures, image), segmenter.predict(image).classes)


@pytest.mark.parametrize("resolution", [0.4, 1.7, [0.6, 1.3]])
def test_resolution(resolution, tmp_path):
    segmenter = make(depth=1, resolution=resolution)
    signatures = export(segmenter, tmp_path)
    for shape in ((41, 67), (1, 5)):
        image = picture(*shape)
        expected = segmenter.predict(image.astype(np.float32)).probabilities
        np.testing.assert_allclose(probabilities(signatures, image), expected, atol=1e-6)
        agree = classes(signatures, image) == segmenter.predict(image).classes
        assert agree.mean() > 0.999


def test_zscore_up_to_the_order_of_a_sum(tmp_path):
    segmenter = make(depth=1, normalization=Normalization("zscore"))
    signatures = export(segmenter, tmp_path)
    image = picture(30, 44)
    expected = segmenter.predict(image.astype(np.float32)).probabilities
    np.testing.assert_allclose(probabilities(signatures, image), expected, atol=1e-5)


def test_unit_range(tmp_path):
    segmenter = make(depth=1, normalization=Normalization("unit"))
    signatures = export(segmenter, tmp_path)
    image = picture(30, 44)
    unit = image.astype(np.float32) / 255
    found = probabilities(signatures, unit)
    assert np.array_equal(found, segmenter.predict(unit).probabilities)
    assert np.array_equal(classes(signatures, image), segmenter.predict(image).classes)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must lie in 0\.\.1"):
        probabilities(signatures, image)


CONTRASTS = {
    "constant": np.full((20, 30, 1), 7, np.float32),
    "one spot": np.pad(np.full((1, 1, 1), 9, np.float32), ((10, 9), (15, 14), (0, 0))),
    "negative": picture(20, 30).astype(np.float32) - 300.25,
    "tiny": np.linspace(0, 1e-39, 600, dtype=np.float32).reshape(20, 30, 1),
    "huge": picture(20, 30).astype(np.float32) * np.float32(1e33),
}


@pytest.mark.parametrize("name", CONTRASTS)
def test_contrast(name, grey, grey_signatures):
    image = CONTRASTS[name]
    expected = grey.predict(image).probabilities
    assert_same(probabilities(grey_signatures, image), expected)


def test_large_float_image_is_sampled_in_the_same_way(monkeypatch, tmp_path):
    monkeypatch.setattr("keras_unet.normalization.MAX_VALUES", 500)
    monkeypatch.setattr("keras_unet.export.graph_normalization.MAX_VALUES", 500)
    segmenter = make(depth=1)
    image = picture(61, 47).astype(np.float32)
    found = probabilities(export(segmenter, tmp_path), image)
    assert np.array_equal(found, segmenter.predict(image).probabilities)


def test_mixed_precision_becomes_float32(tmp_path):
    mixed = make(depth=1, dtype="mixed_bfloat16")
    plain = make(depth=1)
    plain.model.set_weights(mixed.model.get_weights())
    signatures = export(mixed, tmp_path)
    image = picture(33, 42)
    expected = plain.predict(image.astype(np.float32)).probabilities
    assert np.array_equal(probabilities(signatures, image), expected)
    assert mixed.model.dtype_policy.name == "mixed_bfloat16"  # the user's model is left alone


def test_mixed_precision_of_a_plain_functional_model(tmp_path):
    import keras

    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(3, 3, padding="same", dtype="mixed_bfloat16")(inputs)
    outputs = keras.layers.Conv2D(2, 1, dtype="float32")(x)
    model = keras.Model(inputs, outputs)
    geometry = ku.UNetGeometry(depth=0, padding="same")
    signatures = export(ku.Segmenter(model, geometry=geometry, max_tile=64), tmp_path)
    assert probabilities(signatures, picture(20, 21)).dtype == np.float32


def test_volumes(tmp_path):
    segmenter = make(depth=1, shape=(None, None, None, 1), max_tile=28)
    folder = saved_model(segmenter, tmp_path / "cells", warmup_sizes=[(4, 6, 8)])
    signatures = tf.saved_model.load(str(folder)).signatures
    assert set(signatures) == {"serving_default", "classes", "metadata"}
    volume = np.stack([picture(18, 31, seed=seed) for seed in range(9)])
    found = probabilities(signatures, volume)
    assert np.array_equal(found, segmenter.predict(volume.astype(np.float32)).probabilities)
    assert np.array_equal(classes(signatures, volume), segmenter.predict(volume).classes)


def test_two_channels_have_no_signature_for_files(tmp_path):
    signatures = export(make(channels=2, depth=0), tmp_path)
    assert set(signatures) == {"serving_default", "classes", "metadata"}


def test_test_time_augmentation_is_left_out(tmp_path):
    segmenter = make(depth=1, tta="flips")
    found = probabilities(export(segmenter, tmp_path), picture(20, 30))
    segmenter = segmenter.replace(tta=None)
    expected = segmenter.predict(picture(20, 30).astype(np.float32)).probabilities
    assert np.array_equal(found, expected)


def test_metadata(grey, grey_signatures):
    answer = grey_signatures["metadata"](query=tf.constant(["", "anything"]))["metadata_json"]
    first, second = (json.loads(text) for text in answer.numpy())
    assert first == second
    assert first["class_names"] == ["background", "object"]
    assert first["geometry"] == grey.geometry.get_config()
    assert first["normalization"] == grey.normalization.get_config()
    assert first["max_tile"] == [68, 68]
    assert (first["margin"], first["format_version"]) == (8, 2)
    assert first["versions"]["keras_unet"] == ku.__version__


# === The folder ===


def test_layout(grey_version):
    files = {str(f.relative_to(grey_version)) for f in grey_version.rglob("*") if f.is_file()}
    assert "saved_model.pb" in files
    assert "variables/variables.index" in files
    assert "assets.extra/tf_serving_warmup_requests" in files
    assert grey_version.name == "1"
    assert [entry.name for entry in grey_version.parent.iterdir()] == ["1"]
    assert grey_version.stat().st_mode & 0o755 == 0o755


def test_one_copy_of_the_weights(grey, grey_version):
    size = sum(4 * weight.size for weight in grey.model.get_weights())
    stored = (grey_version / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert size <= stored < 1.5 * size + 2000


def test_no_path_of_this_machine(grey_version):
    content = (grey_version / "saved_model.pb").read_bytes()
    for trace in (b".py", str(grey_version.parent).encode(), b"/tmp/", b"/usr/", b"/home/"):
        assert trace not in content


def test_core_operations_only(grey_version):
    found = to_saved_model.operations(grey_version)
    assert {"Conv2D", "DecodeImage", "EnsureShape"} <= found
    to_saved_model.check_core(grey_version)


def test_python_functions_are_refused(tmp_path):
    module = tf.Module()
    module.run = tf.function(
        lambda x: tf.numpy_function(lambda y: y, [x], tf.float32),
        input_signature=[tf.TensorSpec([], tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"run": module.run})
    with pytest.raises(ValueError, match=r"no Python function.*PyFunc"):
        to_saved_model.check_core(tmp_path)


def test_versions(tmp_path):
    segmenter, base = make(filters=2, depth=0), tmp_path / "deep" / "cells"
    options = {"warmup_sizes": []}
    assert saved_model(segmenter, base, **options).name == "1"
    assert saved_model(segmenter, base, version=7, **options).name == "7"
    assert saved_model(segmenter, base, **options).name == "8"
    before = (base / "7" / "saved_model.pb").stat().st_mtime_ns
    with pytest.raises(FileExistsError, match="overwrite=True"):
        saved_model(segmenter, base, version=7, **options)
    assert (base / "7" / "saved_model.pb").stat().st_mtime_ns == before
    saved_model(segmenter, base, version=7, overwrite=True, **options)
    assert (base / "7" / "saved_model.pb").stat().st_mtime_ns > before
    assert sorted(entry.name for entry in base.iterdir()) == ["1", "7", "8"]


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("keras_unet.export.to_saved_model.write_warmup", fail)
    with pytest.raises(OSError, match="disk full"):
        saved_model(make(filters=2, depth=0), tmp_path / "cells", warmup_sizes=[(8, 8)])
    assert list((tmp_path / "cells").iterdir()) == []


def test_failing_replacement_keeps_the_old_version(tmp_path, monkeypatch):
    from pathlib import Path

    from keras_unet.export import to_saved_model

    old, new = tmp_path / "cells" / "1", tmp_path / "cells" / ".1-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    (old / "saved_model.pb").write_text("old")
    rename = Path.rename

    def fail(self, target):
        if self == new:
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no"):
        to_saved_model._publish(new, old, overwrite=True)
    assert (old / "saved_model.pb").read_text() == "old"


def test_warmup(grey_version, grey_signatures):
    """Read and replayed with TensorFlow Serving's own messages."""
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    file = grey_version / to_saved_model.FOLDER / to_saved_model.FILE
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(file))]
    requests = [apis.PredictionLog.FromString(record).predict_log.request for record in records]
    assert len(requests) <= to_saved_model.MAX_RECORDS
    assert {request.model_spec.name for request in requests} == {"cells"}
    assert {request.model_spec.signature_name for request in requests} == set(grey_signatures)
    for request in requests:
        inputs = {name: tf.constant(tf.make_ndarray(t)) for name, t in request.inputs.items()}
        answer = grey_signatures[request.model_spec.signature_name](**inputs)
        assert all(len(value) == 1 for value in answer.values())


def test_long_warmup_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"up to 1000 warm-up requests.*fewer warmup_sizes"):
        to_saved_model.write_warmup(tmp_path, "m", [("metadata", {"query": [b""]})] * 1001)


# === What is refused ===


class OwnTarget(ClassTarget):
    name, exportable = "own", False


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, {"version": 0}, "positive integer"),
        ({}, {"version": True}, "positive integer"),
        ({}, {"version": "1"}, "positive integer"),
        ({}, {"max_pixels": 0}, "max_pixels must be at least 1"),
        ({}, {"max_tile": 16}, "of 16 px is too small"),
        ({}, {"max_tile": (64,)}, "max_tile needs one positive number, or 2"),
        ({}, {"warmup_sizes": [(8,)]}, "2 positive sizes"),
        ({}, {"warmup_sizes": [(8, 0)]}, "2 positive sizes"),
        ({}, {"warmup_sizes": [(8, 9)], "max_pixels": 70}, "at most max_pixels=70"),
        ({"target": OwnTarget()}, {}, "a target that is exportable"),
    ],
)
def test_bad_arguments(options, arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        saved_model(make(filters=2, **options), tmp_path / "cells", **arguments)
    assert not (tmp_path / "cells").exists()


def test_base_path_must_be_a_folder(tmp_path):
    (tmp_path / "cells").write_text("")
    with pytest.raises(ValueError, match="must be a folder"):
        saved_model(make(filters=2), tmp_path / "cells")


def test_other_backends_are_refused(tmp_path, monkeypatch):
    segmenter = make(filters=2)
    monkeypatch.setattr("keras.config.backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"need the TensorFlow backend.*'jax'"):
        saved_model(segmenter, tmp_path / "cells")
