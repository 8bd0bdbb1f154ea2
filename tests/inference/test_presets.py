"""Presets: what is stored comes back, damage is named, and the one in the package works."""

from __future__ import annotations

import json
import zipfile

import keras
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


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("card", ["x"] * 10_001),
        ("model", {"name": "unet"}),
        ("model", {"name": ["unet"], "arguments": {}}),
        ("model", {"name": "unet", "arguments": {"filterz": 3}}),
        ("model", {"name": "unet", "arguments": {"filters": 0}}),
        ("segmenter", None),
        ("segmenter", {"target": {"name": "nothing", "config": {}}}),
    ],
)
def test_what_describes_no_preset_is_refused_by_name(preset, part, value):
    file = preset / "preset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), part: value}))
    with pytest.raises(ValueError, match=r"tiny.*(is damaged|does not describe)"):
        Segmenter.from_preset(preset)


def test_text_in_another_encoding_is_damage(preset):
    (preset / "preset.json").write_bytes(b'{"card": "\xff"}')
    with pytest.raises(ValueError, match=r"preset\.json is damaged \(UnicodeDecodeError"):
        Segmenter.from_preset(preset)


@pytest.mark.parametrize(
    ("name", "value"),
    [("filters", 10**6), ("filters", 64), ("num_classes", 10**9), ("depth", 12)],
)
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="only TensorFlow can measure")
def test_networks_larger_than_their_weights_are_not_made(preset, segmenter, name, value):
    file = preset / "preset.json"
    changed = json.loads(file.read_text())
    changed["model"]["arguments"][name] = value
    file.write_text(json.dumps(changed))
    message = r"json is damaged .*the network is larger than the weights in weights\.npz"
    with pytest.raises(ValueError, match=message):
        Segmenter.from_preset(preset)

    run = segmenter.save(preset / "run")
    with zipfile.ZipFile(run / "model.keras") as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"][name] = value
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    with pytest.raises(ValueError, match=r"model\.keras cannot .*the network is larger than the"):
        Segmenter.load(run)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no preset 'cells'; there are nuclei"):
        Segmenter.from_preset("cells")


def test_weights_beyond_half_precision_are_refused(tmp_path, segmenter):
    model = UNet((None, None, 3), filters=2, depth=1, padding="same", dropout=0.0)
    model.set_weights([weight + 1e6 for weight in model.get_weights()])
    with pytest.raises(ValueError, match="must fit into float16"):
        presets.save_preset(tmp_path, model, segmenter.get_config(), {})


def test_other_models_are_refused(tmp_path, segmenter):
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
