"""Presets: what is stored comes back, damage is named, and the one in the package works."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_unet.inference import Segmenter, presets
from keras_unet.metrics.instances import average_precision
from keras_unet.models import UNet
from keras_unet.targets import SeedTarget

pytestmark = [pytest.mark.core, pytest.mark.backend]


@pytest.fixture(scope="module")
def segmenter():
    model = UNet((None, None, 3), filters=2, depth=1, padding="same", dropout=0.0)
    return Segmenter(model, SeedTarget(clip=5, min_size=3), resolution=0.5, tta="flips")


@pytest.fixture
def preset(tmp_path, segmenter):
    return presets.save_preset(
        tmp_path / "tiny", segmenter.model, segmenter.get_config(), {"description": "a test"}
    )


def test_round_trip_in_half_precision(preset, segmenter):
    loaded = Segmenter.from_preset(preset)
    assert loaded.get_config() == segmenter.get_config()
    pairs = zip(segmenter.model.get_weights(), loaded.model.get_weights(), strict=True)
    for before, after in pairs:
        assert after.dtype == np.float32
        np.testing.assert_array_equal(after, before.astype(np.float16))
    image = np.random.default_rng(0).integers(0, 255, (21, 34), dtype=np.uint8)
    assert loaded.predict(image).classes.shape == (21, 34)


def test_damage_is_named(preset):
    file = preset / "weights.npz"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"weights\.npz is damaged \(its SHA-256"):
        Segmenter.from_preset(preset)
    file.unlink()
    with pytest.raises(ValueError, match=r"weights\.npz is damaged \(it is missing"):
        Segmenter.from_preset(preset)
    (preset / "preset.json").write_text("{")
    with pytest.raises(ValueError, match=r"preset\.json is damaged \(JSONDecodeError"):
        Segmenter.from_preset(preset)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no preset 'cells'; there are nuclei"):
        Segmenter.from_preset("cells")


def test_weights_beyond_half_precision_are_refused(tmp_path, segmenter):
    model = UNet((None, None, 3), filters=2, depth=1, padding="same", dropout=0.0)
    model.set_weights([weight + 1e6 for weight in model.get_weights()])
    with pytest.raises(ValueError, match="must fit into float16"):
        presets.save_preset(tmp_path, model, segmenter.get_config(), {})


def test_other_models_are_refused(tmp_path, segmenter):
    import keras

    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs), name="other")
    with pytest.raises(ValueError, match="model='other'"):
        presets.save_preset(tmp_path, model, segmenter.get_config(), {})


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_nuclei_finds_drawn_nuclei(channels):
    """Bright discs on a dark, noisy ground, two of them touching."""
    centres, radius = [(30, 28), (30, 47), (70, 80), (75, 30), (28, 100)], 10
    rows, columns = np.mgrid[:104, :126]
    truth = np.zeros((104, 126), np.int32)
    for number, (y, x) in enumerate(centres, start=1):
        truth[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = number
    noise = np.random.default_rng(0).normal(0, 4, truth.shape)
    grey = np.clip(20 + 110 * (truth > 0) + noise, 0, 255).astype(np.uint8)
    image = np.broadcast_to(grey.reshape(104, 126, *(1 for _ in channels)), (104, 126, *channels))
    found = Segmenter.from_preset("nuclei").predict(image)
    assert average_precision(truth, found.instances, 0.5) == 1


def test_card_and_size():
    folder = presets.FOLDER / "nuclei"
    card = json.loads((folder / "preset.json").read_text())["card"]
    assert {"description", "scores"} <= set(card)
    assert (folder / "weights.npz").stat().st_size < 16e6
    assert "CC0" in (folder / "CARD.md").read_text()
