"""The command line end to end, on files as a user has them."""

import inspect
import json

import cv2
import numpy as np
import pytest
from command_line import invoke

import keras_unet as ku
from keras_unet.commands.data_options import DATA_OPTIONS, PATH
from keras_unet.data.folder import read_folder
from keras_unet.files.reading import read_labels

pytestmark = pytest.mark.core

QUICK = [
    *("--filters", "2", "--tile", "32", "--steps", "2", "--validate-every", "2"),
    *("--batch-size", "1", "--normalization", "none", "--no-tensorboard"),
]
TINY = [*QUICK, "--depth", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    for index, sample in enumerate(ku.data.synthetic_cells(3, shape=(64, 80), seed=0)):
        cv2.imwrite(str(folder / "images" / f"{index}.png"), sample.image)
        cv2.imwrite(str(folder / "masks" / f"{index}.png"), sample.instances.astype(np.uint16))
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "cells"
    data = (folder / "images", "--masks", folder / "masks", "--kind", "instances")
    output = invoke("train", *data, "--out", run, "--validation", 0.34, *TINY)
    assert "Run folder" in output
    return run


def test_train_leaves_a_run_folder_with_a_report(run):
    assert (run / "model.keras").exists()
    page = (run / "report.html").read_text()
    assert "<svg" in page
    assert page.count("data:image/png") >= 5


OPTIONS = {
    "fcn": {"units": 4},
    "res_unet_a": {"window": 32, "multitask": "true"},
    "sliding_window": {"units": 4},
    "unet_plus_plus": {"deep_supervision": True},
    "vnet": {"margin": 16},
}


@pytest.mark.parametrize("model", ku.models.list_models())
def test_every_model_is_trained_by_its_name(model, folder, tmp_path):
    data = (folder / "images", "--masks", folder / "masks", "--kind", "instances")
    options = ["--model", model, "--tile", 96 if model == "sliding_window" else 32]
    options += ["--depth", 1] if "depth" in ku.models.arguments(model) else []
    for name, value in OPTIONS.get(model, {}).items():
        options += [f"--model.{name}", value]
    options += ["--target", "multitask"] if model == "res_unet_a" else []
    output = invoke("train", *data, "--out", tmp_path / "run", *QUICK, *options)
    assert "Run folder" in output
    segmenter = ku.Segmenter.load(tmp_path / "run")
    assert ku.models.registry.name_of(segmenter.model) == model
    assert segmenter.target.heads == segmenter.model.heads
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    row = dict(zip(log[0].split(","), log[-1].split(","), strict=True))
    assert 0 < float(row["loss"]) < 5
    assert 0 <= float(row["iou"]) <= 1
    assert segmenter.predict(np.zeros((40, 33), np.uint8)).classes.shape == (40, 33)
    assert f"{segmenter.model.count_params():,}" in invoke("info", tmp_path / "run")


def test_predict_writes_masks_of_the_image_size(run, folder, tmp_path):
    output = invoke("predict", run, folder / "images", "--out", tmp_path, "--probabilities")
    assert "0.png" in output
    assert read_labels(tmp_path / "0_instances.png").shape == (64, 80)
    assert set(np.unique(read_labels(tmp_path / "1_classes.png"))) <= {0, 1}
    assert cv2.imread(str(tmp_path / "2_overlay.png")).shape == (64, 80, 3)
    assert (tmp_path / "0_probabilities.tif").exists()


def test_evaluate_prints_json_and_writes_pictures(run, folder, tmp_path):
    data = (folder / "images", "--masks", folder / "masks", "--kind", "instances")
    scores = json.loads(invoke("evaluate", run, *data, "--json", "--pictures", tmp_path))
    assert 0 <= scores["mean_iou"] <= 1
    assert len(scores["samples"]) == 3
    assert len(list(tmp_path.glob("*.png"))) == 3
    output = invoke("evaluate", run, *data, "--select", "0,2", "--isbi")
    assert "mean_iou" in output
    assert "isbi.v_rand" in output


def test_evaluate_scores_what_predict_wrote_as_the_run_itself(run, folder, tmp_path):
    data = (folder / "images", "--masks", folder / "masks", "--kind", "instances", "--json")
    invoke("predict", run, folder / "images", "--out", tmp_path, "--probabilities")
    model, files = (json.loads(invoke("evaluate", source, *data)) for source in (run, tmp_path))
    assert model.pop("scored") == "a model of keras_unet"
    assert files.pop("scored").startswith("instances, an id per object; ")
    assert files == model


def test_evaluate_takes_predictions_of_any_program(folder, tmp_path):
    for index in range(3):
        mask = cv2.imread(str(folder / "masks" / f"{index}.png"), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(tmp_path / f"cells-00{index}.png"), mask)
    data = (folder / "images", "--masks", folder / "masks", "--kind", "instances")
    output = invoke("evaluate", tmp_path, *data)
    assert "Scored: instances, an id per object." in output
    assert "true objects cut into pieces" in output
    assert "split merged" in output
    assert json.loads(invoke("evaluate", tmp_path, *data, "--json"))["seg"] == 1
    (tmp_path / "cells-001.png").unlink()
    error = " ".join(invoke("evaluate", tmp_path, *data, code=1).split())
    assert "1 lack a partner, none are left over" in error


def test_train_and_evaluate_share_the_options_of_data():
    for command in ("train", "evaluate"):
        output = invoke(command, "--help")
        for option in DATA_OPTIONS:
            assert f"--{option.name.replace('_', '-')}" in output
    options = {option.name for option in (PATH, *DATA_OPTIONS)}
    assert set(inspect.signature(read_folder).parameters) - {"images"} <= options


def test_info_knows_the_paper_network():
    output = invoke(
        *("info", "--filters", 64, "--padding", "valid", "--normalization", "none"),
        *("--dropout", 0.5, "--size", 572),
    )
    assert "31,030,658" in output
    assert "388" in output
    assert "556, 572, 588" in output.replace("\n", "")


def test_info_reads_a_run_folder(run):
    assert "background, object" in invoke("info", run, "--size", 64, "--summary")


ILL_CASES = [
    (("train", "nowhere", "--out", "x"), "nowhere"),
    (("predict", "nowhere", "image.png"), "image.png"),
    (("info", "--filters", "0"), "filters"),
    (("info", "--padding", "full"), "padding"),
    (("info", "--model.filtres", "3"), "did you mean 'filters'"),
    (("info", "--model", "unett"), "did you mean 'unet'"),
    (("info", "--steps", "many"), "run.steps must be a whole number"),
    (("info", "--recipes.steps", "3"), "unknown recipe group 'recipes.steps'"),
    (("train", "nowhere", "--out", "x", "--augmentation.sgima", 5), "did you mean 'sigma'"),
    (("train", "nowhere", "--out", "x", "--model.filterz=3"), "did you mean 'filters'"),
    (("train", "nowhere", "--out", "x", "--target", "seeds", "--target.clap", 3), "mean 'clip'"),
    (("train", "nowhere", "--out", "x", "--monitor", "mean_iuo"), "did you mean 'mean_iou'"),
    (("info", "--recipe", "nowhere.yaml"), "nowhere.yaml"),
]


@pytest.mark.parametrize(("arguments", "named"), ILL_CASES)
def test_errors_are_one_line_that_names_the_value(arguments, named):
    output = invoke(*arguments, code=1)
    assert output.startswith("Error: ")
    assert output.count("\n") == 1
    assert named in output
    assert "Traceback" not in output


def test_every_command_shows_an_example():
    for command in ("demo", "train", "predict", "evaluate", "info"):
        assert "Example: keras-unet" in invoke(command, "--help")
    assert ku.__version__ in invoke("--version")


@pytest.mark.slow
def test_demo_reaches_its_score(tmp_path):
    from keras_unet.commands.demo import run_demo

    assert run_demo(tmp_path).scores["mean IoU"] >= 0.85


def test_demo_writes_its_report(tmp_path):
    output = invoke("demo", "--out", tmp_path, "--steps", 2)
    assert "mean IoU" in output
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
