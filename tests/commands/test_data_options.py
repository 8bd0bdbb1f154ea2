"""What the command line says of data reaches the reader, and stays with the run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from command_line import invoke

import keras_unet as ku
from keras_unet.commands.train import with_num_classes
from keras_unet.data.data_set import DataSet
from keras_unet.errors import UsageError

pytestmark = pytest.mark.core

TINY = [
    *("--filters", 2, "--depth", 1, "--tile", 32, "--steps", 1, "--validate-every", 1),
    *("--batch-size", 1, "--normalization", "none", "--no-tensorboard"),
]
CELLS = ku.data.synthetic_cells(2, shape=(40, 48), radius=6)


def folder_of(path, masks, images=None):
    for place, sample in enumerate(CELLS):
        for part in ("images", "masks"):
            (path / part).mkdir(exist_ok=True)
        image = sample.image if images is None else images[place]
        tifffile.imwrite(path / "images" / f"{place}.tif", image, photometric="minisblack")
        tifffile.imwrite(path / "masks" / f"{place}.tif", masks[place])
    return path / "images", "--masks", path / "masks"


def train(path, *options):
    return invoke("train", *options, "--out", path / "run", *TINY)


def test_classes(tmp_path):
    masks = [np.where(s.instances > 0, 5, -1).astype(np.int16) for s in CELLS]
    for mask in masks:
        mask[:4] = -7
    data = folder_of(tmp_path, masks)
    values = ("--class-values", "-1,5,9", "--ignore-class", "-7")
    output = train(tmp_path, *data, *values, "--class-names", "nothing, cell ,rare")
    assert "class 2: 0.00%" in output
    run = ku.Segmenter.load(tmp_path / "run")
    assert run.class_names == ["nothing", "cell", "rare"]
    scores = json.loads(invoke("evaluate", tmp_path / "run", *data, *values, "--json"))
    assert len([name for name in scores if name.startswith("iou.")]) == 3
    binary = folder_of(tmp_path, [(s.instances > 0).astype(np.uint8) for s in CELLS])
    scores = json.loads(invoke("evaluate", tmp_path / "run", *binary, "--json"))
    assert scores["notes"] == ["The run has 3 classes: masks are read as classes."]
    assert "true_count" not in scores
    error = invoke("evaluate", tmp_path / "run", *binary, "--num-classes", 4, code=1)
    assert "the run has 3 classes, not 4; leave --num-classes away" in " ".join(error.split())


def test_masks_and_target_have_one_number_of_classes(tmp_path):
    data, recipe = DataSet(tmp_path, kind="classes"), ku.Recipe(target={"num_classes": 4})
    assert with_num_classes(data, recipe)[0].num_classes == 4
    three = DataSet(tmp_path, num_classes=3)
    assert with_num_classes(three, ku.Recipe())[1].target["num_classes"] == 3
    assert with_num_classes(DataSet(tmp_path), ku.Recipe()) == (DataSet(tmp_path), ku.Recipe())
    with pytest.raises(UsageError, match="the masks have 3 classes and the target 4"):
        with_num_classes(three, recipe)


def test_channels_are_kept_with_the_run(tmp_path):
    images = [np.concatenate([s.image * 0 + 9, s.image, s.image * 0], axis=-1) for s in CELLS]
    masks = [s.instances.astype(np.uint16) for s in CELLS]
    data = (*folder_of(tmp_path, masks, images), "--kind", "instances")
    error = invoke("train", *data, "--out", tmp_path / "run", *TINY, code=1)
    assert "--axes YXC" in error
    train(tmp_path, *data, "--axes", "YXC", "--channel", 2)
    config = json.loads((tmp_path / "run" / "segmenter.json").read_text())
    assert config["reading"] == {"channel": [1]}
    data = (*data, "--axes", "YXC", "--json")
    own, same = (
        json.loads(invoke("evaluate", tmp_path / "run", *data, *options))
        for options in ((), ("--channel", 2))
    )
    assert own == same
    error = invoke("evaluate", tmp_path / "run", *data, "--channel", "DAPI", code=1)
    assert "there is no --channel DAPI, say --channel 1 or --channel 2 or --channel 3" in error


def test_two_files_with_frames_and_a_run_that_goes_on(tmp_path, caplog):
    movie = {"imagej": True, "metadata": {"axes": "TYX"}}
    tifffile.imwrite(tmp_path / "m.tif", np.stack([s.image[..., 0] for s in CELLS]), **movie)
    ids = np.stack([s.instances for s in CELLS]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "m_mask.tif", ids, photometric="minisblack")
    pair = (tmp_path / "m.tif", "--masks", tmp_path / "m_mask.tif", "--kind", "instances")
    assert "--axes" in invoke("train", *pair, "--out", tmp_path / "run", code=1)
    assert "say --masks" in invoke("train", tmp_path / "m.tif", "--out", tmp_path / "run", code=1)
    pair = (*pair, "--axes", "TYX")
    output = train(tmp_path, *pair, "--patience", 1)
    assert "2 training samples" in output
    assert "patience needs validation images, see --validation" in caplog.text
    changed = invoke("train", *pair, "--out", tmp_path / "run", *TINY, "--seed", 3, code=1)
    assert "run.seed: 0 there, 3 here" in changed
    assert "--resume yes" in changed
    assert "--resume no" in changed
    assert "goes on at step 1" in train(tmp_path, *pair, "--seed", 3, "--resume", "yes")
    assert "goes on" not in train(tmp_path, *pair, "--seed", 4, "--resume", "no")
    invoke("train", *pair, "--out", tmp_path / "run", "--resume", "true", code=2)
