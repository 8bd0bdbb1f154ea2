"""Cases 42 to 51: the SavedModel in the C++ loader of TensorFlow Serving, in a process of its own.

Every call is followed by a good one, which must still be answered. `KERAS_UNET_TF_LIBRARIES` names
folders (separated by the system's path separator) with the libraries of other releases, such as
those of the TensorFlow of a server; the slow test runs there too.
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from export_cases import picture

import keras_unet as ku

SCRIPT = Path(__file__).with_name("c_api.py")
LIBRARIES = Path(tf.__file__).parent
INVALID = "3 "
MAX_PIXELS = 20_000

pytestmark = pytest.mark.skipif(
    not (LIBRARIES / "libtensorflow_cc.so.2").exists(), reason="needs the libraries of Linux"
)


def call_model(model, calls, folder, libraries=LIBRARIES):
    """Answers of calls (signature, inputs, repeat): dicts, or texts of errors."""
    arrays, listed = {}, []
    for number, (signature, inputs, *repeat) in enumerate(calls):
        keys = {name: f"{number}:{name}" for name in inputs}
        arrays |= {keys[name]: value for name, value in inputs.items()}
        listed.append(
            {"signature": signature, "inputs": keys, "repeat": repeat[0] if repeat else 1}
        )
    given, found = folder / "calls.npz", folder / "answers.npz"
    np.savez(given, calls=np.array(json.dumps(listed)), **arrays)
    done = subprocess.run(
        [sys.executable, SCRIPT, libraries, model, given, found],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, f"the process ended with {done.returncode}: {done.stderr[-2000:]}"
    with np.load(found, allow_pickle=True) as answers:
        answers = dict(answers)
    results = []
    for number in range(len(calls)):
        own = {
            key.partition(":")[2]: value
            for key, value in answers.items()
            if key.startswith(f"{number}:")
        }
        results.append(str(own["error"]) if "error" in own else own)
    return results, answers


def texts(*contents):
    return np.array([*contents, None], object)[:-1]


def encoded(image, ending=".png"):
    return cv2.imencode(ending, image)[1].tobytes()


GOOD = picture(21, 34)
COLOUR = picture(30, 41, channels=3)
DEEP = picture(25, 33).astype(np.uint16) * 251
ALPHA = np.concatenate([COLOUR, picture(30, 41, seed=3)], axis=-1)
LARGE = np.zeros((150, 140, 1), np.uint8)
BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\0\0\0\0"

BAD_FLOATS = {
    "rank 1": (np.zeros(7, np.float32), "not compatible with expected shape"),
    "rank 2": (np.zeros((5, 6), np.float32), "not compatible with expected shape"),
    "rank 3": (np.zeros((5, 6, 1), np.float32), "not compatible with expected shape"),
    "rank 5": (np.zeros((1, 2, 5, 6, 1), np.float32), "not compatible with expected shape"),
    "channels": (np.zeros((1, 5, 6, 3), np.float32), "not compatible with expected shape"),
    "no channel": (np.zeros((1, 5, 6, 0), np.float32), "not compatible with expected shape"),
    "batch 0": (np.zeros((0, 5, 6, 1), np.float32), "without an axis of length 0"),
    "height 0": (np.zeros((1, 0, 6, 1), np.float32), "without an axis of length 0"),
    "too large": (np.zeros((1, 150, 140, 1), np.float32), "larger max_pixels"),
    "too many": (np.zeros((3, 70, 100, 1), np.float32), "larger max_pixels"),
    "NaN": (np.full((1, 5, 6, 1), np.nan, np.float32), "must be finite"),
    "infinite": (np.full((1, 5, 6, 1), np.inf, np.float32), "must be finite"),
    "uint8": (np.zeros((1, 5, 6, 1), np.uint8), "float"),
}
BAD_FILES = {
    "junk": (b"this is no picture at all", "not a PNG, JPEG, BMP, GIF or WebP file"),
    "empty": (b"", "not a PNG, JPEG, BMP, GIF or WebP file"),
    "TIFF": (encoded(GOOD, ".tif"), "TIFF cannot be decoded inside a TensorFlow graph"),
    "text": (base64.b64encode(encoded(GOOD)), "wrap it"),
    "half a PNG": (encoded(GOOD)[:120], "PNG"),
    "half a JPEG": (encoded(GOOD, ".jpg")[:200], "JPEG"),
    "head of a PNG": (encoded(GOOD)[:20], ""),
    "too large": (encoded(LARGE), "larger max_pixels"),
    "too large, JPEG": (encoded(LARGE, ".jpg"), "larger max_pixels"),
    "too large, BMP": (encoded(LARGE, ".bmp"), "larger max_pixels"),
    "too large, WebP": (encoded(np.repeat(LARGE, 3, -1), ".webp"), "larger max_pixels"),
    "a bomb": (BOMB, "larger max_pixels"),
    "a GIF without pixels": (b"GIF89a" + b"\xff" * 4, "larger max_pixels"),
}


@pytest.fixture(scope="module")
def answers(grey_version, tmp_path_factory):
    """Answers of one process to all calls, by name."""
    good = ("serving_default", {"images": GOOD[None].astype(np.float32)})
    calls = {}
    for name, (array, _) in BAD_FLOATS.items():
        calls[f"bad {name}"] = ("serving_default", {"images": array})
        calls[f"after {name}"] = good
    calls["bad classes"] = ("classes", {"images": np.zeros((5, 6, 1), np.uint8)})
    for name, (content, _) in BAD_FILES.items():
        calls[f"bad file {name}"] = ("segment_bytes", {"image_bytes": texts(content)})
    calls["bad second file"] = ("segment_bytes", {"image_bytes": texts(encoded(GOOD), b"?")})
    calls["bad sum of files"] = ("segment_bytes", {"image_bytes": texts(*[encoded(GOOD)] * 29)})
    calls["files of rank 2"] = ("segment_bytes", {"image_bytes": texts(b"").reshape(1, 1)})
    calls["no file"] = ("segment_bytes", {"image_bytes": texts()})
    calls["after files"] = good
    for height, width in ((1, 1), (1, 5), (3, 1), (17, 90), (64, 64)):
        image = picture(height, width)[None].astype(np.float32)
        calls[f"size {height} {width}"] = ("serving_default", {"images": image})
    calls["good"] = good
    calls["good classes"] = ("classes", {"images": GOOD[None]})
    calls["good file"] = ("segment_bytes", {"image_bytes": texts(encoded(GOOD))})
    calls["metadata"] = ("metadata", {"query": texts(b"a", b"b")})
    many = np.stack([picture(40, 30, seed=seed) for seed in range(3)]).astype(np.float32)
    calls["many"] = ("serving_default", {"images": many})
    for index, image in enumerate(many):
        calls[f"one {index}"] = ("serving_default", {"images": image[None]})
    calls["at once"] = ("serving_default", {"images": many}, 12)
    calls["mixed"] = ("segment_bytes", {"image_bytes": texts(*MIXED.values())})
    found, about = call_model(grey_version, calls.values(), tmp_path_factory.mktemp("calls"))
    return {**dict(zip(calls, found, strict=True)), "about": about}


MIXED = {
    "grey PNG": encoded(GOOD),
    "colour PNG": encoded(COLOUR),
    "PNG with alpha": encoded(ALPHA),
    "16 bits": encoded(DEEP),
    "JPEG": encoded(COLOUR, ".jpg"),
    "grey JPEG": encoded(GOOD, ".jpg"),
    "BMP": encoded(COLOUR, ".bmp"),
    "grey BMP": encoded(GOOD, ".bmp"),
    "WebP": encoded(COLOUR, ".webp"),
    "GIF": tf.io.decode_base64("R0lGODdhAgABAIAAAAAAAP___ywAAAAAAgABAAACAgQKADs").numpy(),
}


@pytest.mark.parametrize("name", BAD_FLOATS)
def test_42_bad_arrays_are_invalid_arguments_and_the_next_call_is_answered(name, answers):
    error = answers[f"bad {name}"]
    assert isinstance(error, str)
    assert error.startswith(INVALID)
    assert BAD_FLOATS[name][1] in error
    assert np.array_equal(
        answers[f"after {name}"]["probabilities"], answers["good"]["probabilities"]
    )


def test_42_other_signatures(answers):
    for name in (
        "bad classes",
        "bad second file",
        "bad sum of files",
        "files of rank 2",
        "no file",
    ):
        assert answers[name].startswith(INVALID), name
    assert f"may have {MAX_PIXELS} pixels in all" in answers["bad sum of files"]


@pytest.mark.parametrize("name", BAD_FILES)
def test_44_bad_files(name, answers):
    error = answers[f"bad file {name}"]
    assert isinstance(error, str)
    assert error.startswith(INVALID)
    assert BAD_FILES[name][1] in error
    assert "probabilities" in answers["after files"]


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 1), (17, 90), (64, 64)])
def test_43_any_size_comes_back(size, answers, grey):
    found = answers[f"size {size[0]} {size[1]}"]["probabilities"]
    assert found.shape == (1, *size, 2)
    expected = grey.predict(picture(*size).astype(np.float32)).probabilities
    assert np.array_equal(found[0], expected)


@pytest.mark.parametrize("place", range(len(MIXED)), ids=list(MIXED))
def test_44_files_of_all_kinds_in_one_batch(place, answers, grey, tmp_path):
    content = list(MIXED.values())[place]
    found = answers["mixed"]
    mask = cv2.imdecode(np.frombuffer(found["mask_png_bytes"][place], np.uint8), -1)
    assert mask.shape == (found["height"][place], found["width"][place])
    file = tmp_path / "picture"
    file.write_bytes(content)
    if content.startswith((b"GIF", b"RIFF")):
        image = tf.io.decode_image(content, expand_animations=False).numpy()
        cv2.imwrite(str(file.with_suffix(".png")), image[..., ::-1])
        file = file.with_suffix(".png")
    image = ku.data.read_image(file, channels=1)
    agree = mask == grey.predict(image).classes
    # Two libraries decode a JPEG to numbers that differ by one here and there.
    assert agree.mean() > 0.98 if b"JFIF" in content[:20] else agree.all()


def test_45_all_signatures_agree(answers, grey):
    expected = grey.predict(GOOD)
    assert np.array_equal(answers["good"]["probabilities"][0], expected.probabilities)
    assert np.array_equal(answers["good classes"]["classes"][0], expected.classes)
    found = answers["good file"]
    mask, shown = (
        cv2.imdecode(np.frombuffer(found[name][0], np.uint8), -1)
        for name in ("mask_png_bytes", "probability_png_bytes")
    )
    assert np.array_equal(mask, expected.classes)
    assert np.array_equal(shown, np.rint(255 * (1 - expected.probabilities[..., 0])))
    assert (found["height"], found["width"]) == ([21], [34])


def test_46_calls_at_once(answers):
    assert np.array_equal(answers["at once"]["probabilities"], answers["many"]["probabilities"])


def test_47_types_that_rest_can_write(answers):
    kinds = {"probabilities": 1, "classes": 4, "height": 3, "width": 3}
    signatures = json.loads(str(answers["about"]["signatures"]))
    del signatures["__saved_model_init_op"]
    for inputs, outputs in signatures.values():
        for name, (_, dtype) in outputs.items():
            assert dtype == kinds.get(name, 7), name
            assert dtype != 7 or name.endswith(("_bytes", "_json"))
        assert set(inputs) <= {"images", "image_bytes", "query"}


def test_51_a_batch_is_its_images_one_by_one(answers):
    for index in range(3):
        one = answers[f"one {index}"]["probabilities"]
        assert np.array_equal(answers["many"]["probabilities"][index], one[0])


def test_metadata(answers):
    found = [json.loads(text) for text in answers["metadata"]["metadata_json"]]
    assert len(found) == 2
    assert found[0]["max_pixels"] == MAX_PIXELS


@pytest.mark.slow
def test_49_other_releases(grey, grey_version, tmp_path):
    folders = os.environ.get("KERAS_UNET_TF_LIBRARIES", "")
    if not folders:
        pytest.skip("KERAS_UNET_TF_LIBRARIES names no folder with libraries")
    calls = [
        ("serving_default", {"images": GOOD[None].astype(np.float32)}),
        ("classes", {"images": GOOD[None]}),
        ("segment_bytes", {"image_bytes": texts(encoded(GOOD), encoded(COLOUR, ".jpg"))}),
        ("serving_default", {"images": np.zeros((5, 6, 1), np.float32)}),
    ]
    expected = grey.predict(GOOD)
    for folder in folders.split(os.pathsep):
        found, about = call_model(grey_version, calls, tmp_path, Path(folder))
        print(folder, about["version"])
        np.testing.assert_allclose(found[0]["probabilities"][0], expected.probabilities, atol=1e-6)
        assert np.array_equal(found[1]["classes"][0], expected.classes)
        assert len(found[2]["mask_png_bytes"]) == 2
        assert found[3].startswith(INVALID)
