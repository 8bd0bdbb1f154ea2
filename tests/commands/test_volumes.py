"""The command line on volumes: NIfTI classes with uneven voxels, and TIFF instances."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import invoke

from keras_unet.data import read_labels, write_image, write_labels

nibabel = pytest.importorskip("nibabel")

TINY = [
    *("--filters", "2", "--depth", "1", "--steps", "2", "--validate-every", "2"),
    *("--batch-size", "1", "--normalization", "none", "--no-tensorboard"),
]
AFFINE = np.diag([1.0, 1.0, 2.5, 1.0])
AFFINE[:3, 3] = 7, -3, 11


def volume(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey values and classes of two balls, `(D, H, W) = (9, 16, 21)`."""
    generator = np.random.default_rng(seed)
    grid = np.stack(np.indices((9, 16, 21)), axis=-1)
    classes = np.zeros(grid.shape[:-1], np.int16)
    for number, centre in enumerate(((4, 7, 6), (4, 8, 15)), start=1):
        classes[((grid - centre) ** 2).sum(axis=-1) < 14] = number
    return (60 * classes + generator.integers(0, 20, classes.shape)).astype(np.int16), classes


@pytest.fixture(scope="module")
def nifti(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nifti")
    for place, name in enumerate(("images", "labels")):
        (folder / name).mkdir()
        for number in range(3):
            values = volume(number)[place].transpose(2, 1, 0)
            nibabel.Nifti1Image(values, AFFINE).to_filename(folder / name / f"{number}.nii.gz")
    return folder


def test_nifti_from_training_to_scores(nifti, tmp_path):
    data = (nifti / "images", "--masks", nifti / "labels", "--kind", "classes", "--rank", 3)
    run, masks, pictures = (tmp_path / name for name in ("run", "masks", "pictures"))
    sizes = ("--tile", "8,16,16", "--resolution", "1.2,1,1")
    invoke("train", *data, "--out", run, "--validation", 0.34, *sizes, *TINY)
    config = json.loads((run / "segmenter.json").read_text())
    assert config["resolution"] == [1.2, 1, 1]
    assert config["target"]["config"]["spacing"] == pytest.approx([2.5 * 9 / 11, 1, 1])
    assert (run / "report.html").read_text().count("data:image/png") >= 6
    invoke("predict", run, nifti / "images", "--out", masks)
    written = nibabel.load(masks / "1_classes.nii.gz")
    np.testing.assert_array_equal(written.affine, AFFINE)
    assert read_labels(masks / "1_classes.nii.gz", rank=3).shape == (9, 16, 21)
    assert (masks / "1_overlay.png").is_file()
    scores = [
        json.loads(invoke("evaluate", source, *data, "--json", *more))
        for source, more in ((run, ("--pictures", pictures)), (masks, ()))
    ]
    assert {"dice.class 0", "dice.class 1", "dice.class 2"} <= set(scores[0])
    for name in ("dice.class 1", "pixel_error"):
        assert scores[0][name] == scores[1][name]
    assert (pictures / "0_slices.png").is_file()


def test_tiff_instances_from_training_to_scores(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(2):
        image, ids = volume(number)
        write_image(tmp_path / "images" / f"{number}.tif", image[..., None])
        write_labels(tmp_path / "masks" / f"{number}.tif", ids)
    data = (tmp_path / "images", "--masks", tmp_path / "masks", "--kind", "instances")
    message = invoke("train", *data, "--out", tmp_path / "run", *TINY, code=1)
    assert "--axes" in message
    data = (*data, "--rank", 3)
    invoke("train", *data, "--out", tmp_path / "run", "--tile", 16, "--target", "seeds", *TINY)
    invoke("predict", tmp_path / "run", tmp_path / "images", "--out", tmp_path / "found")
    assert read_labels(tmp_path / "found" / "0_instances.tif", rank=3).shape == (9, 16, 21)
    scores = json.loads(invoke("evaluate", tmp_path / "run", *data, "--json"))
    assert scores["true_count"] == 4
    assert {"seg", "ap50", "boundary_iou"} <= set(scores)
