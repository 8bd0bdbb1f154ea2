"""The whole way from an image to classes, with networks whose answer is known and small U-Nets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_networks import PLAIN, RAW, compare_model, rng_image, sigmoid, tiny_unet

from keras_unet import Sample, Segmenter, UNetGeometry
from keras_unet.data import Normalization
from keras_unet.data.resolution import resize_image, resize_maps, working_shape
from keras_unet.models import UNet
from keras_unet.targets import ClassTarget

pytestmark = [pytest.mark.core, pytest.mark.backend]

CASES = [
    ((23, 40), {"max_tile": 20}, {}),
    ((23, 40), {}, {}),
    ((1, 1), {}, {}),
    ((1, 30), {"max_tile": (14, 18)}, {}),
    ((23, 40), {"max_tile": 20, "batch_size": 3}, {"padding": "same"}),
    ((23, 40), {}, {"shape": (20, 24, 1)}),
    ((41,), {"max_tile": 20}, {"rank": 1}),
    ((5, 12, 9), {"max_tile": 16}, {"rank": 3}),
]


@pytest.mark.parametrize(("shape", "options", "model_options"), CASES)
def test_known_network(shape, options, model_options):
    """A pixel is an object where the logit 'image' exceeds 0."""
    image = rng_image(*shape) - 0.5
    image.flat[0] = 0.4
    segmenter = Segmenter(compare_model(**model_options), PLAIN, RAW, **options)
    result = segmenter.predict(image)
    expected = sigmoid(image)
    np.testing.assert_allclose(result.probabilities[..., 1], expected, atol=1e-6)
    np.testing.assert_array_equal(result.classes, image > 0)
    np.testing.assert_array_equal(result.instances > 0, image > 0)
    assert result.probabilities.dtype == np.float32
    assert result.classes.dtype == result.instances.dtype == np.int32
    assert result.count == result.instances.max() >= 1
    assert result.areas.sum() == (image > 0).sum()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int16", "float16", "float64"])
def test_every_dtype_and_the_default_normalization(dtype):
    """Contrast is what counts: the same picture in every dtype gives the same classes."""
    image = np.zeros((21, 34))
    image[4:9, 5:20] = 1
    model = compare_model()
    model.set_weights([model.get_weights()[0], np.array([0.5, 0], np.float32)])
    high = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    result = Segmenter(model).predict((image * high).astype(dtype))
    np.testing.assert_array_equal(result.classes, image)
    assert result.count == 1
    np.testing.assert_array_equal(result.areas, [75])


def test_the_whole_image_is_normalized_not_its_tiles():
    ramp = np.tile(np.linspace(0, 1000, 64, dtype=np.float32), (20, 1))
    segmenter = Segmenter(compare_model(), PLAIN, Normalization("zscore"), max_tile=16)
    result = segmenter.predict(ramp)
    np.testing.assert_array_equal(result.classes, ramp > ramp.mean())


def test_grey_for_a_colour_network():
    image = rng_image(13, 17) - 0.5
    segmenter = Segmenter(compare_model(channels=3), PLAIN, RAW)
    expected = segmenter.predict(np.repeat(image[..., None], 3, -1)).probabilities
    np.testing.assert_array_equal(segmenter.predict(image).probabilities, expected)
    grey = Sample(image[..., None], classes=image > 0)
    assert segmenter.evaluate([grey])["pixel_accuracy"] == 1


def test_colour():
    image = rng_image(13, 17, 3) - 0.5
    result = Segmenter(compare_model(channels=3), PLAIN, RAW).predict(image)
    expected = sigmoid(image.mean(-1))
    np.testing.assert_allclose(result.probabilities[..., 1], expected, atol=1e-6)


# === Resolution ===


RESOLUTIONS = [
    ((46, 80), 0.5, {"max_tile": 20}, {}),
    ((47, 81), 0.3, {"tta": "flips"}, {"padding": "same"}),
    ((23, 40), 2.0, {"max_tile": (20, 36)}, {}),
    ((1, 5), 0.05, {}, {}),
    ((41,), 0.6, {}, {"rank": 1}),
    ((6, 12, 9), 0.5, {"max_tile": 16}, {"rank": 3}),
]


@pytest.mark.parametrize(("shape", "resolution", "options", "model_options"), RESOLUTIONS)
def test_network_sees_the_resized_image(shape, resolution, options, model_options):
    """Resizing before and after by hand around a segmenter of full resolution."""
    image = rng_image(*shape) - 0.5
    model, zscore = compare_model(**model_options), Normalization("zscore")
    result = Segmenter(model, PLAIN, zscore, resolution=resolution, **options).predict(image)
    small = resize_image(image[..., None], working_shape(shape, resolution))
    plain = Segmenter(model, PLAIN, zscore, **options).predict(small)
    expected = resize_maps(plain.probabilities, shape)
    np.testing.assert_array_equal(result.probabilities, expected)
    np.testing.assert_array_equal(result.classes, expected[..., 1] > 0.5)
    assert result.classes.shape == result.instances.shape == shape


@pytest.mark.parametrize("resolution", [0.25, 0.5, 0.7, 1.6])
def test_objects_are_found_where_they_are(resolution):
    image = np.full((60, 75), -1.0, np.float32)
    image[12:36, 20:56] = 1
    segmenter = Segmenter(compare_model(), PLAIN, RAW, resolution=resolution)
    result = segmenter.predict(image)
    assert result.count == 1
    rows, columns = np.nonzero(result.instances)
    assert (rows.mean(), columns.mean()) == pytest.approx((23.5, 37.5), abs=0.51)
    assert abs(len(rows) / (24 * 36) - 1) < 0.1


def test_min_size_counts_pixels_of_the_image():
    image = np.full((40, 64), -1.0, np.float32)
    image[8:16, 12:24] = 1  # 96 pixels, 24 of the coarse grid
    for min_size, count in ((90, 1), (100, 0)):
        target = ClassTarget(weights=None, min_size=min_size)
        segmenter = Segmenter(compare_model(), target, RAW, resolution=0.5)
        assert segmenter.predict(image).count == count


def test_tiles_are_of_the_coarse_grid():
    calls = []
    segmenter = Segmenter(compare_model(), max_tile=20, resolution=0.5)
    segmenter.predict(rng_image(60, 24), progress=lambda *args: calls.append(args))
    assert calls[-1] == (len(segmenter.plan((30, 12))),) * 2


def test_full_resolution_resizes_nothing(monkeypatch):
    def fail(*args):
        raise AssertionError("resized")

    monkeypatch.setattr("keras_unet.data.resolution._resample", fail)
    Segmenter(compare_model()).predict(rng_image(9, 14))
    with pytest.raises(AssertionError, match="resized"):
        Segmenter(compare_model(), resolution=0.5).predict(rng_image(9, 14))


def test_resolution_is_shown_where_it_is_not_1():
    assert "resolution" not in repr(Segmenter(compare_model()))
    assert ", resolution=0.5, " in repr(Segmenter(compare_model(), resolution=0.5))


def test_run_folders_without_a_resolution(tmp_path):
    """As they were written in format 1."""
    Segmenter(tiny_unet(), resolution=0.5).save(tmp_path)
    assert Segmenter.load(tmp_path).resolution == 0.5
    file = tmp_path / "segmenter.json"
    config = json.loads(file.read_text())
    del config["resolution"]
    file.write_text(json.dumps({**config, "format_version": 1}))
    assert Segmenter.load(tmp_path).resolution == 1


def test_run_folders_without_a_margin(tmp_path):
    """As they were written in format 3; they predict as they did."""
    Segmenter(tiny_unet(padding="same")).save(tmp_path)
    assert Segmenter.load(tmp_path).margin == 8
    file = tmp_path / "segmenter.json"
    config = json.loads(file.read_text())
    del config["margin"]
    file.write_text(json.dumps({**config, "format_version": 3}))
    assert Segmenter.load(tmp_path).margin == "full"


@pytest.mark.parametrize(
    ("padding", "margin", "kept"),
    [("same", 5, 8), ("same", "full", "full"), ("same", 0, 0), ("valid", None, "full")],
)
def test_the_margin_is_kept(padding, margin, kept, tmp_path):
    segmenter = Segmenter(tiny_unet(padding=padding)).replace(margin=margin)
    assert segmenter.margin == kept
    assert Segmenter.load(segmenter.save(tmp_path)).replace(tta="d4").margin == kept


def test_how_images_are_read_is_kept(tmp_path):
    segmenter = Segmenter(tiny_unet(), reading={"channel": "DAPI", "channels": None})
    segmenter.save(tmp_path)
    loaded = Segmenter.load(tmp_path)
    assert loaded.reading == {"channel": "DAPI"}
    assert loaded.replace(tta="d4").reading_for() == {"rank": 2, "channel": "DAPI", "channels": 1}
    assert loaded.reading_for(channel=2, channels=3) == {"rank": 2, "channel": 2, "channels": 3}
    two = Segmenter(tiny_unet(input_shape=(None, None, 2)))
    assert two.reading_for() == {"rank": 2, "channel": None, "channels": None}
    with pytest.raises(ValueError, match="reading has channel and channels"):
        Segmenter(tiny_unet(), reading={"axes": "YX"})


# === Progress ===


def test_progress():
    calls = []
    segmenter = Segmenter(compare_model(), max_tile=20, tta="flips")
    segmenter.predict(rng_image(30, 12), progress=lambda *args: calls.append(args))
    assert calls == [(done, 12) for done in range(1, 13)]


def test_progress_bar_is_for_the_terminal_only(capsys):
    Segmenter(compare_model()).predict(rng_image(5, 6), progress=True)
    silent = Segmenter(compare_model())
    capsys.readouterr()
    silent.predict(rng_image(5, 6))
    assert capsys.readouterr() == ("", "")


# === Evaluation ===


def test_evaluate():
    image = np.full((9, 14, 1), -1.0)
    image[2:5, 3:9] = 1
    truth = np.zeros((9, 14), int)
    truth[2:5, 3:8] = 7
    sample = Sample(image, instances=truth, name="a")
    scores = Segmenter(compare_model(), PLAIN, RAW).evaluate([sample])
    assert scores["iou"]["object"] == pytest.approx(15 / 18)
    assert scores["seg"] == pytest.approx(15 / 18)
    assert scores["samples"][0]["name"] == "a"


# === Saving ===


def test_round_trip_in_a_fresh_process(tmp_path):
    target = ClassTarget(3, min_size=5, threshold=0.4, weights={"w0": 5.0})
    names = ["background", "nucleus", "wall"]
    segmenter = Segmenter(
        tiny_unet(num_classes=3, normalization="batch"),
        target,
        Normalization("zscore", per_channel=False),
        resolution=1.25,
        max_tile=(76, 92),
        tta="flips",
        average="scores",
        class_names=names,
    )
    image = rng_image(40, 57)
    expected = segmenter.predict(image)
    segmenter.save(tmp_path / "run")
    np.save(tmp_path / "image.npy", image)
    code = (
        "import sys, numpy as np, keras_unet as ku\n"
        "segmenter = ku.Segmenter.load(sys.argv[1] + '/run')\n"
        "result = segmenter.predict(np.load(sys.argv[1] + '/image.npy'))\n"
        "np.save(sys.argv[1] + '/result.npy', result.probabilities)\n"
        "print(segmenter)"
    )
    environment = {**os.environ, "KERAS_BACKEND": keras.config.backend()}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = np.load(tmp_path / "result.npy")
    np.testing.assert_allclose(result, expected.probabilities, rtol=0, atol=1e-6)
    assert done.stdout.strip().endswith(repr(segmenter))
    loaded = Segmenter.load(tmp_path / "run")
    assert loaded.get_config() == segmenter.get_config()
    assert loaded.target.get_config() == target.get_config()


def test_an_incomplete_config_is_named(tmp_path):
    Segmenter(compare_model(), geometry=UNetGeometry(depth=1, convs_per_level=1)).save(tmp_path)
    file = tmp_path / "segmenter.json"
    config = json.loads(file.read_text())
    del config["normalization"]
    file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"segmenter\.json does not describe.*'normalization'"):
        Segmenter.load(tmp_path)


# === Errors ===


def no_geometry():
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs), name="plain")


def other_rank():
    model = compare_model()
    model.geometry = UNetGeometry(rank=3)
    return model


@pytest.mark.parametrize("options", [{"depth": 3}, {"depth": 1, "padding": "same"}])
def test_the_advice_for_a_model_without_geometry_fits_it(options):
    """Keras clones the layers of a model, not what else it knows."""
    model = tiny_unet(**options)
    inside = keras.layers.Rescaling(2.0)(keras.models.clone_model(model)(model.inputs[0]))
    for clone in (keras.models.clone_model(model), keras.Model(model.inputs[0], inside)):
        with pytest.raises(ValueError, match="the model has no geometry") as caught:
            Segmenter(clone)
        advice = str(caught.value).partition("keras_unet.")[2].partition(". Received")[0]
        assert eval(advice, {"UNetGeometry": UNetGeometry}) == model.geometry


def test_geometry_may_be_given():
    geometry = UNetGeometry(depth=0, padding="same")
    assert Segmenter(no_geometry(), geometry=geometry).geometry is geometry


ILL_CASES = [
    (no_geometry, {}, "no geometry; pass one.*'plain'"),
    (other_rank, {}, r"3 spatial axes\. Received: model.input_shape"),
    (lambda: compare_model(shape=(20, None, 1)), {}, "all free or all fixed"),
    (compare_model, {"target": ClassTarget(3)}, "'classes' needs 3 outputs"),
    (compare_model, {"tta": "all"}, "no test-time augmentation 'all'; give tta=None or"),
    (compare_model, {"average": "votes"}, "average must be"),
    (compare_model, {"resolution": 0}, r"between 0\.05 and 8.*resolution=0"),
    (compare_model, {"batch_size": 0}, "batch_size=0"),
    (compare_model, {"max_tile": 9}, "of 9 px is too small"),
    (compare_model, {"max_tile": (20, 20, 20)}, r"max_tile=\(20, 20, 20\)"),
    (
        compare_model,
        {"class_names": ["a", "b", "c"]},
        "2 classes, which need as many different names",
    ),
    (compare_model, {"class_names": ["a", "a"]}, "2 classes, which need as many different names"),
    (compare_model, {"class_names": "ab"}, "2 classes, which need as many different names"),
]


@pytest.mark.parametrize(("make", "options", "message"), ILL_CASES)
def test_errors(make, options, message):
    with pytest.raises(ValueError, match=message):
        Segmenter(make(), **options)


def test_images_are_checked():
    with pytest.raises(ValueError, match="NaN"):
        Segmenter(compare_model()).predict(np.array([[np.nan, 1], [2, 3]]))


# === Frozen ===


def test_a_segmenter_does_not_change():
    segmenter = Segmenter(UNet(filters=2, depth=1, padding="same"))
    with pytest.raises(AttributeError, match=r"segmenter\.replace\(tta=\.\.\.\) makes another"):
        segmenter.tta = "flips"
    other = segmenter.replace(tta="flips", max_tile=40)
    assert (segmenter.tta, other.tta, other.max_tile) == (None, "flips", 40)
    assert other.engine is segmenter.engine
    assert other.model is segmenter.model


def test_another_target_brings_its_class_names():
    segmenter = Segmenter(UNet(filters=2, depth=1, padding="same"), class_names=["ground", "cell"])
    assert segmenter.replace(target=ClassTarget(threshold=0.4)).class_names == ["ground", "cell"]


def test_replace_names_the_nearest_argument():
    segmenter = Segmenter(UNet(filters=2, depth=1, padding="same"))
    with pytest.raises(ValueError, match=r"did you mean 'max_tile'\?.*Received: max_tiles=64"):
        segmenter.replace(max_tiles=64)


def test_export_names_the_nearest_format(tmp_path):
    segmenter = Segmenter(UNet(filters=2, depth=1, padding="same"))
    with pytest.raises(ValueError, match=r"did you mean 'tflite'\?.*Received: format='tflit'"):
        segmenter.export(tmp_path / "m", "tflit")
