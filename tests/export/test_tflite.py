"""TFLite files: their numbers, their sizes, what they are made of, and what is refused."""

import json

import numpy as np
import pytest
from export_cases import make, picture

import keras_unet as ku
from keras_unet.export import TFLiteSegmenter
from keras_unet.export.to_tflite import MAX_TILES, calibration_tiles, tflite
from keras_unet.normalization import Normalization
from keras_unet.targets import ClassTarget, SeedTarget

litert = pytest.importorskip("ai_edge_litert.interpreter")

IMAGE = picture(70, 93)
SAMPLES = [picture(64, 80, seed=seed) for seed in range(4)]


@pytest.fixture(scope="module")
def segmenter():
    return make(filters=4)


@pytest.fixture(scope="module")
def expected(segmenter):
    return segmenter.predict(IMAGE)


@pytest.fixture(scope="module")
def export(segmenter, tmp_path_factory):
    """A function that exports once for each set of options."""
    folder, known = tmp_path_factory.mktemp("tflite"), {}

    def run(**options):
        key = json.dumps(options, sort_keys=True)
        if key not in known:
            samples = SAMPLES if options.get("quantization") == "int8" else None
            file = folder / f"{len(known)}.tflite"
            known[key] = tflite(segmenter, file, samples=samples, **options)
        return known[key]

    return run


# === The numbers ===

LIMITS = {None: 2e-6, "float16": 5e-3, "dynamic": 0.1, "int8": 0.1}


@pytest.mark.parametrize("tile", [None, 64])
@pytest.mark.parametrize("quantization", LIMITS)
def test_probabilities(quantization, tile, export, expected):
    found = TFLiteSegmenter(export(quantization=quantization, tile=tile)).predict(IMAGE)
    assert found.probabilities.shape == (70, 93, 2)
    assert found.probabilities.dtype == np.float32
    assert np.abs(found.probabilities - expected.probabilities).max() < LIMITS[quantization]
    assert (found.classes == expected.classes).mean() > 0.95


def test_sizes(export):
    """Weights of a small network do not shrink to the full, but in order."""
    size = {kind: export(quantization=kind, tile=64).stat().st_size for kind in LIMITS}
    assert size["int8"] < size[None]
    assert size["dynamic"] < size["float16"] < size[None]


def test_bytes_in_and_out(export, expected):
    file = export(quantization="int8", tile=64, io="uint8")
    interpreter = litert.Interpreter(model_path=str(file))
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["dtype"] == answer["dtype"] == np.uint8
    found = TFLiteSegmenter(file).predict(IMAGE)
    assert np.abs(found.probabilities - expected.probabilities).max() < 0.1


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_class_map(quantization, export, expected):
    file = export(quantization=quantization, tile=64, output="classes")
    interpreter = litert.Interpreter(model_path=str(file))
    assert interpreter.get_output_details()[0]["dtype"] == np.uint8
    found = TFLiteSegmenter(file).predict(IMAGE)
    assert (found.classes == expected.classes).mean() > (0.999 if quantization is None else 0.95)


KINDS = {
    "seeds": ({"target": SeedTarget()}, {}),
    "seeds, class map": ({"target": SeedTarget()}, {"output": "classes"}),
    "three classes": ({"num_classes": 3, "target": ClassTarget(3, threshold=0.4)}, {}),
    "three classes, class map": (
        {"num_classes": 3, "target": ClassTarget(3, threshold=0.4)},
        {"output": "classes"},
    ),
    "colour": ({"channels": 3}, {"tile": (64, 60)}),
    "fixed network": ({"shape": (60, 64, 1)}, {}),
    "valid, any size": ({"padding": "valid", "depth": 1}, {}),
    "valid, one size": ({"padding": "valid", "depth": 1}, {"tile": 60}),
    "bilinear, any size": ({"upsampling": "bilinear", "normalization_layer": "batch"}, {}),
    "group normalization": ({"normalization_layer": "group", "max_tile": 1024}, {}),
    "resolution": ({"resolution": 0.6}, {}),
    "mixed precision": ({"dtype": "mixed_float16"}, {"tile": 64}),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_segmenters(name, tmp_path):
    made, options = KINDS[name]
    segmenter = make(**made)
    image = picture(70, 93, segmenter.channels)
    found = TFLiteSegmenter(tflite(segmenter, tmp_path / "m.tflite", **options)).predict(image)
    if made.get("dtype"):  # what is exported computes in float32
        plain = make()
        plain.model.set_weights(segmenter.model.get_weights())
        segmenter = plain
    expected = segmenter.predict(image)
    if "output" not in options:
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    assert (found.classes == expected.classes).mean() > 0.999


def test_quantised_networks_of_mixed_precision(tmp_path):
    segmenter = make(dtype="mixed_bfloat16")
    file = tflite(segmenter, tmp_path / "m.tflite", tile=64, quantization="int8", samples=SAMPLES)
    found = TFLiteSegmenter(file).predict(IMAGE)
    assert np.abs(found.probabilities - segmenter.predict(IMAGE).probabilities).max() < 0.15


def test_evaluate(export, segmenter):
    samples = ku.data.synthetic_cells(1, shape=(60, 70), seed=0)
    scores = TFLiteSegmenter(export(quantization=None, tile=64)).evaluate(samples)
    assert scores["mean_iou"] == pytest.approx(segmenter.evaluate(samples)["mean_iou"])


# === The traps of the converters ===


@pytest.mark.parametrize("quantization", LIMITS)
def test_nothing_but_builtin_operations(quantization, export):
    for tile in (None, 64):
        file = export(quantization=quantization, tile=tile)
        interpreter = litert.Interpreter(model_path=str(file))
        names = {op["op_name"] for op in interpreter._get_ops_details()}
        assert not [name for name in names if name.startswith("Flex") or "Custom" in name]


def test_weights_are_frozen_and_finite(export):
    """Concrete functions of Keras 3 convert, but their weights stay behind: all NaN."""
    found = TFLiteSegmenter(export(quantization=None, tile=64)).predict(IMAGE)
    assert np.isfinite(found.probabilities).all()


def test_names_of_input_and_output(export):
    for output in ("probabilities", "classes"):
        options = {} if output == "probabilities" else {"output": output}
        file = export(quantization=None, tile=64, **options)
        signatures = litert.Interpreter(model_path=str(file)).get_signature_list()
        assert signatures == {"serving_default": {"inputs": ["image"], "outputs": [output]}}


def test_any_size_is_asked_for_before_memory_is_taken(export):
    lite = TFLiteSegmenter(export(quantization=None, tile=None))
    for shape in ((33, 41), (64, 64), (33, 41)):
        assert lite.predict(picture(*shape)).classes.shape == shape


def test_a_fixed_tile_is_fixed(export):
    """Browsers take no other."""
    (given,) = litert.Interpreter(
        model_path=str(export(quantization=None, tile=64))
    ).get_input_details()
    assert list(given["shape"]) == list(given["shape_signature"]) == [1, 64, 64, 1]


def test_volumes_are_refused(tmp_path):
    segmenter = make(depth=1, shape=(None, None, None, 1))
    with pytest.raises(ValueError, match=r"MaxPool3D.*export a SavedModel.*3 spatial axes"):
        tflite(segmenter, tmp_path / "m.tflite")


def test_other_operations_that_tflite_lacks(tmp_path):
    import keras

    class Strange(keras.layers.Layer):
        def call(self, x):
            return keras.ops.erfinv(keras.ops.tanh(x))

    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(Strange()(inputs)))
    segmenter = ku.Segmenter(model, geometry=ku.UNetGeometry(depth=0, padding="same"))
    with pytest.raises(ValueError, match=r"does not have builtin.*Erfinv"):
        tflite(segmenter, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


# === Files ===


def test_description(export, segmenter):
    file = export(quantization="int8", tile=64)
    found = json.loads(file.with_suffix(".json").read_text())
    assert found["normalization"] == segmenter.normalization.get_config()
    assert found["geometry"] == segmenter.geometry.get_config()
    assert found["class_names"] == ["background", "object"]
    assert (found["tile"], found["quantization"], found["io"]) == ([64, 64], "int8", "float32")


def test_files_are_kept(tmp_path):
    segmenter, file = make(filters=2, depth=1), tmp_path / "deep" / "m.tflite"
    file.parent.mkdir()
    file.with_suffix(".json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"m\.json exists; pass overwrite=True"):
        tflite(segmenter, file)
    assert tflite(segmenter, file, overwrite=True) == file
    assert sorted(entry.name for entry in file.parent.iterdir()) == ["m.json", "m.tflite"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantization": "int4"}, "quantization must be one of"),
        ({"io": "int8"}, "io must be one of"),
        ({"output": "logits"}, "output must be one of"),
        ({"quantization": "int8"}, "samples are needed.*no samples"),
        ({"samples": SAMPLES}, "for nothing else"),
        ({"quantization": "int8", "samples": []}, "at least one image"),
        ({"quantization": "int8", "samples": [np.zeros((5, 5, 2))]}, "1 channel"),
        ({"io": "uint8"}, "io='uint8' needs quantization='int8'"),
        ({"tile": 63}, "nearest are 60 and 64"),
        ({"tile": 48}, "more than 48 pixels of context"),
        ({"tile": (64, 64, 64)}, "one number or 2"),
    ],
)
def test_bad_arguments(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        tflite(make(filters=2), tmp_path / "m.tflite", **options)
    assert list(tmp_path.iterdir()) == []


def test_bad_path_and_another_size_than_the_network_has(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.tflite"):
        tflite(make(filters=2), tmp_path / "m.lite")
    with pytest.raises(ValueError, match="those of the network"):
        tflite(make(filters=2, shape=(64, 64, 1)), tmp_path / "m.tflite", tile=68)


def test_bad_files(tmp_path, export):
    file = tmp_path / "m.tflite"
    with pytest.raises(ValueError, match=r"m\.tflite is missing"):
        TFLiteSegmenter(file)
    file.write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"m\.json is missing.*copy both"):
        TFLiteSegmenter(file)
    description = json.loads(export(quantization=None, tile=64).with_suffix(".json").read_text())
    beside = file.with_suffix(".json")
    for text, message in {
        "{": "is damaged",
        "[]": "is damaged",
        '{"format_version": 3}': "upgrade keras_unet",
        '{"format_version": 1}': "does not describe a network",
        json.dumps(description): r"is no TFLite file or damaged",
    }.items():
        beside.write_text(text)
        with pytest.raises(ValueError, match=message):
            TFLiteSegmenter(file)


def test_missing_package_is_named(export, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match=r"keras-unet-bio\[lite\]"):
        TFLiteSegmenter(export(quantization=None, tile=64))


# === Calibration ===


def test_calibration_tiles_are_normalized_and_few(segmenter):
    segmenter = make(filters=2, depth=1, normalization=Normalization("unit"))
    tiles = calibration_tiles(segmenter, [picture(300, 200)], (32, 36))
    assert 50 < len(tiles) <= MAX_TILES
    assert all(tile.shape == (32, 36, 1) and tile.dtype == np.float32 for tile in tiles)
    assert max(tile.max() for tile in tiles) <= 1


def test_calibration_takes_samples_too():
    samples = ku.data.synthetic_cells(1, shape=(60, 70), seed=0)
    tiles = calibration_tiles(make(depth=1), samples, None)
    assert len(tiles) == 1
