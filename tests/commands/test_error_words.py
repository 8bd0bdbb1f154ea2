"""Every error that a command can reach speaks the language of the command line."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest
import tifffile
import typer
from command_line import invoke

import keras_unet as ku
from keras_unet.commands.app import app

pytestmark = pytest.mark.core

PYTHON = re.compile(
    r"\b(?!KERAS_UNET_)[A-Za-z_]\w*=\S"  # name=value
    r"|\bnp\.|\bku\.|\bkeras_unet\.|\b(True|False|None)\b"
    r"|[A-Za-z_]\(|[A-Za-z_)]\["  # calls and brackets
)
OPTION = re.compile(r"(?<![\w-])--([a-z][\w.-]*\w)")
COMMANDS = typer.main.get_command(app).commands
TINY = [
    *("--filters", 2, "--depth", 1, "--tile", 32, "--steps", 1, "--validate-every", 1),
    *("--batch-size", 1, "--normalization", "none", "--no-tensorboard"),
]
GREY = np.arange(48 * 40, dtype=np.uint8).reshape(48, 40)
IDS = np.zeros((48, 40), np.uint8)
IDS[4:12, 5:15], IDS[20:30, 8:20] = 1, 2
BINARY = (IDS > 0).astype(np.uint8)
RGB = np.stack([GREY, GREY, GREY * 0], axis=-1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Files to go wrong with: `NAME/images` and `NAME/masks`, and runs."""
    root = tmp_path_factory.mktemp("place")

    def pair(name, mask=IDS, image=GREY, ending=".png", other=None, mask_ending=".png"):
        for part in ("images", "masks"):
            (root / name / part).mkdir(parents=True, exist_ok=True)
        write(root / name / "images" / f"a{ending}", image)
        write(root / name / "masks" / f"a{mask_ending}", mask)
        if other is not None:
            write(root / name / "images" / "b.png", other)
            write(root / name / "masks" / "b.png", mask)

    pair("good")
    pair("binary", BINARY)
    pair("mixed", other=RGB)
    pair("double", BINARY, other=GREY)
    pair("ids", np.where(IDS == 1, 9, IDS))
    pair("colours", np.stack([IDS * 90, IDS, IDS * 0], axis=-1))
    pair("empty", IDS * 0)
    pair("negative", IDS.astype(np.int16) - 1, mask_ending=".tif")
    pair("fractions", IDS * 0.5, mask_ending=".tif")
    pair("huge", IDS.astype(np.int64) * 2**40, mask_ending=".tif")
    pair("lossy", IDS, mask_ending=".jpg")
    pair("sizes", IDS[:-3])
    pair("nan", image=np.where(GREY == 7, np.nan, GREY.astype(np.float32)), ending=".tif")
    pair("planes", image=np.stack([GREY] * 5), ending=".tif")
    pair("two", image=np.stack([GREY] * 2), ending=".tif")
    pair("alpha", np.dstack([IDS * 0, IDS * 0, IDS * 0, IDS * 100]))
    pair("unlike")
    (root / "unlike" / "masks" / "a.png").rename(root / "unlike" / "masks" / "b.png")
    pair("twice")
    write(root / "twice" / "images" / "a.tif", GREY)
    for name, content in (("no_bytes", b""), ("text", b"no image"), ("cut", None)):
        pair(name)
        file = root / name / "images" / "a.png"
        file.write_bytes(file.read_bytes()[:60] if content is None else content)
    (root / "nothing").mkdir()
    frames = {"imagej": True, "metadata": {"axes": "TYX"}}
    slices = {"imagej": True, "metadata": {"axes": "ZYX"}}
    pair("frames")
    tifffile.imwrite(root / "frames/images/a.tif", np.stack([GREY] * 3), **frames)
    (root / "frames/images/a.png").unlink()
    tifffile.imwrite(root / "slices.tif", np.stack([GREY] * 3), **slices)
    tifffile.imwrite(root / "pages.tif", np.stack([GREY] * 5), photometric="minisblack")
    (root / "slide.czi").write_bytes(b"ZISRAWFILE" + bytes(100))
    (root / "isbi/train/image").mkdir(parents=True)
    (root / "isbi/train/label").mkdir()
    for number in (0, 1):
        write(root / f"isbi/train/image/{number}.png", GREY)
        write(root / f"isbi/train/label/{number}.png", IDS)
    (root / "tracking/01").mkdir(parents=True)
    (root / "tracking/01_GT/SEG").mkdir(parents=True)
    tifffile.imwrite(root / "tracking/01/t000.tif", GREY)
    tifffile.imwrite(root / "tracking/01_GT/SEG/man_seg001.tif", IDS)
    save(root / "run")
    save(root / "colour_run", channels=3)
    save(root / "two_run", channels=2)
    save(root / "three_run", classes=3)
    save(root / "volume_run", rank=3)
    save(root / "no_model")
    (root / "no_model/model.keras").unlink()
    save(root / "bad_model")
    (root / "bad_model/model.keras").write_bytes(b"x")
    save(root / "bad_config")
    (root / "bad_config/segmenter.json").write_text("{")
    save(root / "newer")
    newer = json.loads((root / "newer/segmenter.json").read_text()) | {"format_version": 99}
    (root / "newer/segmenter.json").write_text(json.dumps(newer))
    (root / "other").mkdir()
    (root / "other/notes.txt").write_text("mine")
    (root / "scattered").mkdir()
    write(
        root / "scattered" / "a.png", (np.arange(48 * 40) % 7 + 1).astype(np.uint8).reshape(48, 40)
    )
    (root / "masks_of_others").mkdir()
    write(root / "masks_of_others" / "a.png", IDS)
    (root / "gap").mkdir()
    write(root / "gap" / "a.png", IDS * 90)
    (root / "small").mkdir()
    write(root / "small" / "a.png", IDS[:9])
    tifffile.imwrite(root / "stack.tif", np.stack([IDS] * 3), photometric="minisblack")
    invoke("train", *data(root, "good", "instances"), "--out", root / "trained", *TINY)
    return root


def write(path, array):
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="minisblack")
        return
    colour = array[..., [2, 1, 0, *range(3, array.shape[-1])]] if array.ndim == 3 else array
    assert cv2.imwrite(str(path), colour)


def save(path, channels=1, classes=2, rank=2):
    shape = (*(None,) * rank, channels)
    options = {"filters": 2, "depth": 1, "padding": "same", "normalization": None}
    ku.Segmenter(ku.models.UNet(shape, num_classes=classes, **options)).save(path)


def data(root, name, kind=None):
    kinds = () if kind is None else ("--kind", kind)
    return (root / name / "images", "--masks", root / name / "masks", *kinds)


def train(name, kind=None, *options, out="new"):
    return lambda root: ("train", *data(root, name, kind), "--out", root / out, *TINY, *options)


def predict(run, image, *options):
    return lambda root: ("predict", root / run, root / image, "--out", root / "found", *options)


def evaluate(source, name, kind=None, *options):
    return lambda root: ("evaluate", root / source, *data(root, name, kind), *options)


def command(name, path, *options):
    return lambda root: (name, root / path, *(root / "new" if o is OUT else o for o in options))


OUT = object()

# What goes wrong: the command, and words of the message.
ERRORS = {
    # files
    "no bytes": (train("no_bytes", "instances"), "0 bytes"),
    "no image": (train("text", "instances"), "a.png"),
    "truncated": (train("cut", "instances"), "a.png"),
    "nan": (train("nan", "instances"), "NaN"),
    "pages without names": (train("planes", "instances"), "--axes"),
    "too many letters": (train("planes", "instances", "--axes", "TZCYX"), "--axes"),
    "no letters": (train("planes", "instances", "--axes", "QYX"), "--axes YXC"),
    "no channel 0": (train("two", "instances", "--axes", "CYX", "--channel", 0), "--channel 1"),
    "no channel 9": (train("two", "instances", "--axes", "CYX", "--channel", 9), "--channel 1"),
    "too few for grey": (train("two", "instances", "--axes", "CYX", "--channels", 1), "--channel "),
    "too few channels": (train("good", "instances", "--channels", 7), "1 channel"),
    "too large": (train("good", "instances", "--max-pixels", 100), "--max-pixels"),
    "no limit": (train("good", "instances", "--max-pixels", 0), "max"),
    "no volume": (train("good", "instances", "--rank", 3), "volume"),
    "no rank": (train("good", "instances", "--rank", 4), "rank"),
    "lossy mask": (train("lossy", "instances"), "PNG"),
    "coloured mask": (train("colours", "classes"), "--class-values"),
    "opacity": (train("alpha", "instances"), "opacity"),
    "fractions": (train("fractions", "instances"), "whole numbers"),
    "huge ids": (train("huge", "classes"), "a.tif"),
    # folders
    "no folder": (command("train", "nowhere", "--out", OUT), "no such folder"),
    "empty folder": (command("train", "nothing", "--out", OUT), "no images"),
    "no partner": (train("unlike", "instances"), "_mask"),
    "two files": (train("twice", "instances"), "two files"),
    "two sizes": (train("sizes", "instances"), "size"),
    "frames": (train("frames", "instances"), "--axes"),
    "a file and a folder": (
        command("train", "good/images/a.png", "--masks", "x", "--out", OUT),
        "is a file",
    ),
    "a file of a layout": (
        command("train", "good/images/a.png", "--format", "isbi2012", "--out", OUT),
        "is a file",
    ),
    "no format": (train("good", "instances", "--format", "tiff"), "format"),
    "an option of another format": (train("good", None, "--format", "isbi2012"), "--max-pixels"),
    "select a word": (train("good", "instances", "--select", "x"), "0-17,20"),
    "select twice": (train("good", "instances", "--select", "0,0"), "twice"),
    "select too far": (train("good", "instances", "--select", "5"), "images 0 to 0"),
    # masks
    "several meanings": (train("ids"), "--kind instances"),
    "no kind": (train("ids", "semantic"), "kind"),
    "no class numbers": (train("ids", "classes"), "--class-values 0,2,9"),
    "no binary mask": (train("ids", "binary"), "--kind classes"),
    "an unknown value": (train("ids", None, "--class-values", "0,2"), "--ignore-class"),
    "an unknown colour": (train("colours", None, "--class-values", "#000000"), "--class-values"),
    "values twice": (train("ids", None, "--class-values", "0,0"), "differ"),
    "no value": (train("ids", None, "--class-values", "0,a"), "--class-values 0,127,254"),
    "two sorts": (train("ids", None, "--class-values", "0,1", "--ignore-class", "#ffffff"), "sort"),
    "values of instances": (train("ids", "instances", "--class-values", "0,2"), "--kind classes"),
    "one class": (train("ids", "classes", "--num-classes", 1), "--num-classes 2"),
    "too few classes": (train("ids", "classes", "--num-classes", 2), "--num-classes"),
    "fewer classes than values": (
        train("ids", None, "--class-values", "0,2,9", "--num-classes", 2),
        "--num-classes",
    ),
    "below 0": (train("negative", "classes"), "--ignore-class -1"),
    # layouts
    "no such layout": (command("train", "nothing", "--format", "isbi2012", "--out", OUT), "train"),
    "labels of the layout": (command("train", "isbi", "--out", OUT), "0 and 255"),
    "no such slice": (command("train", "isbi", "--select", 9, "--out", OUT), "slices 0 to 1"),
    "no such truth": (command("train", "tracking", "--truth", "XX", "--out", OUT), "truth"),
    "no silver truth": (command("train", "tracking", "--truth", "ST", "--out", OUT), "ST"),
    "no such sequence": (command("train", "tracking", "--sequence", "07", "--out", OUT), "07"),
    "a truth without image": (command("train", "tracking", "--out", OUT), "man_seg001"),
    "no such frame": (command("train", "tracking", "--select", 7, "--out", OUT), "7"),
    # training
    "masks forgotten": (command("train", "good/images", "--out", OUT, *TINY), "--masks"),
    "masks of colours forgotten": (
        command("train", "mixed/images", "--out", OUT, *TINY),
        "--masks",
    ),
    "grey and colours": (train("mixed", "instances"), "--channels 1"),
    "nothing to learn": (train("empty", "instances"), "background"),
    "no instances": (train("binary", "classes", "--target", "seeds"), "--kind instances"),
    "nothing annotated": (train("empty", "classes", "--ignore-class", 0), "annotated"),
    "two numbers of classes": (
        train("ids", "classes", "--num-classes", 3, "--target.num_classes", 4),
        "--target.num_classes",
    ),
    "validation of all": (train("good", "instances", "--validation", 1.5), "--validation"),
    "validation of the only one": (train("good", "instances", "--validation", 0.5), "--validation"),
    "names of classes": (train("good", "instances", "--class-names", "a"), "--class-names"),
    "weights of classes": (train("good", "instances", "--target.class_weights", "1,2,3"), "2"),
    "tile": (train("good", "instances", "--tile", 33), "nearest"),
    "sides of a tile": (train("good", "instances", "--tile", "32,32,32"), "--tile"),
    "heads": (
        lambda root: (
            *("train", *data(root, "good", "instances"), "--out", root / "new", "--tile", 32),
            *("--model", "res_unet_a", "--model.window", 32, "--model.multitask", "true"),
        ),
        "--target multitask",
    ),
    "monitor": (
        lambda root: (
            *("train", *data(root, "double", "classes"), "--out", root / "monitor", *TINY),
            *("--monitor", "seg", "--validation", "0.5"),
        ),
        "monitor",
    ),
    "other recipe": (train("good", "instances", "--seed", 5, out="trained"), "--resume yes"),
    "other images": (train("double", "instances", out="trained"), "--resume no"),
    "other network": (
        train("good", "instances", "--filters", 4, "--resume", "yes", out="trained"),
        "--resume no",
    ),
    "nothing to resume": (
        train("good", "instances", "--resume", "yes", out="fresh"),
        "--resume no",
    ),
    "a model without checkpoint": (train("good", "instances", out="run"), "--resume no"),
    "no recipe field": (train("good", "instances", "--model.filtres", 3), "filters"),
    "no number": (train("good", "instances", "--steps", "many"), "steps"),
    "no choice": (train("good", "instances", "--padding", "full"), "padding"),
    "no number of augmentation": (train("good", "instances", "--augmentation.sigma", "x"), "sigma"),
    "no balance": (
        train("good", "instances", "--target", "seeds", "--target.class_weights", "balanced"),
        "class_weights",
    ),
    # inference
    "no run": (predict("nowhere", "good/images"), "nowhere"),
    "no segmenter": (predict("other", "good/images"), "segmenter.json"),
    "no model": (predict("no_model", "good/images"), "model.keras"),
    "bad model": (predict("bad_model", "good/images"), "model.keras"),
    "bad config": (predict("bad_config", "good/images"), "segmenter.json"),
    "newer": (predict("newer", "good/images"), "99"),
    "no augmentation": (evaluate("run", "good", "instances", "--tta", "flip"), "flips"),
    "no tile": (predict("run", "good/images", "--max-tile", 1), "tile"),
    "no margin": (predict("run", "good/images", "--margin", "half"), "--margin full"),
    "a large margin": (evaluate("run", "good", "instances", "--margin", 999), "--margin full"),
    "no preset": (lambda root: ("predict", "--preset", "x", root / "good/images"), "nuclei"),
    "no image file": (predict("run", "nowhere.png"), "nowhere.png"),
    "foreign format": (predict("run", "slide.czi"), "TIFF"),
    "volume for an image": (predict("run", "slices.tif"), "slices"),
    "image for a volume": (predict("volume_run", "good/images"), "volume"),
    "pages": (predict("run", "pages.tif"), "--axes"),
    "grey for two channels": (predict("two_run", "good/images"), "channel"),
    "large": (predict("run", "good/images", "--max-pixels", 9), "--max-pixels"),
    # evaluation
    "evaluated without masks": (
        lambda root: ("evaluate", root / "run", root / "good/images"),
        "--masks",
    ),
    "grey for two channels, evaluated": (evaluate("two_run", "good", "instances"), "channel"),
    "other classes": (evaluate("run", "good", "classes", "--num-classes", 5), "--num-classes"),
    "more classes": (evaluate("run", "good", "classes"), "--class-values"),
    "no measures": (evaluate("run", "good", "instances", "--measures", "x"), "measures"),
    "border": (evaluate("run", "good", "instances", "--border", 3), "--measures tracking"),
    "no instances to score": (
        evaluate("three_run", "good", "classes", "--measures", "instances"),
        "--measures pixels",
    ),
    "a threshold for a run": (evaluate("run", "good", "instances", "--threshold", 0.2), "--thresh"),
    "views of predictions": (
        evaluate("masks_of_others", "good", "instances", "--tta", "d4"),
        "--tta",
    ),
    "a threshold for ids": (
        evaluate("masks_of_others", "good", "instances", "--threshold", 0.2),
        "--predictions",
    ),
    "no predictions": (evaluate("nowhere", "good", "instances"), "nowhere"),
    "no prediction's kind": (
        evaluate("masks_of_others", "good", "instances", "--predictions", "x"),
        "predictions",
    ),
    "a membrane of ids": (
        evaluate("masks_of_others", "good", "instances", "--membrane"),
        "--membrane",
    ),
    "scattered ids": (evaluate("scattered", "good", "instances"), "--predictions classes"),
    "classes beyond": (
        evaluate("gap", "good", "classes", "--predictions", "classes"),
        "class numbers",
    ),
    "sizes of predictions": (evaluate("small", "good", "instances"), "size"),
    "ids for classes": (
        evaluate("masks_of_others", "good", "classes", "--predictions", "instances"),
        "--predictions classes",
    ),
    "pages of predictions": (evaluate("stack.tif", "good", "instances"), "3 pages"),
    "isbi with classes ignored": (
        evaluate("run", "good", "instances", "--isbi", "--ignore-class", 2),
        "annotated",
    ),
    "missing predictions": (evaluate("masks_of_others", "unlike", None), "masks"),
}


def options_of(name):
    found = {"help", "version"}
    for parameter in COMMANDS[name].params:
        found |= {text[2:] for text in (*parameter.opts, *parameter.secondary_opts)}
    return found


@pytest.mark.parametrize("case", ERRORS)
def test_one_line_without_python(case, place):
    arguments, words = ERRORS[case]
    arguments = arguments(place)
    text = invoke(*arguments, code=1)
    of_an_image = re.match(r"0 of 1 images segmented; 1 failed:\n(.*)\nAll that failed: .*\n", text)
    line = of_an_image[1] if of_an_image else text.splitlines()[-1]
    assert of_an_image or (line.startswith("Error: ") and text.endswith(f"{line}\n")), text
    message = line.removeprefix("Error: ").replace(str(place), "")
    assert words in message
    assert len(message) <= 1200
    advice = message.partition("Received:")[0]
    advice = re.sub(r"\(\w+Error: .*?\);", "", advice)  # a cause in the words of a library
    assert not PYTHON.search(advice), f"{PYTHON.search(advice)[0]!r} in {advice}"
    paths = "model", "target", "images", "augmentation", "batches", "optimizer", "run"
    for option in OPTION.findall(message):
        known = option in options_of(arguments[0])
        by_path = arguments[0] in ("train", "info") and option.partition(".")[0] in paths
        assert known or ("." in option and by_path), f"{arguments[0]} has no --{option}: {message}"
