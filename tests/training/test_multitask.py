"""Heads of a network and of a target that do not fit are refused; the loss of heads by hand."""

from __future__ import annotations

import numpy as np
import pytest

import keras_unet as ku
from keras_unet.targets import MultitaskTarget

SAMPLES = ku.data.synthetic_cells(3, shape=(56, 72), radius=8, seed=1)
MODEL = {"name": "res_unet_a", "filters": 4, "window": 32, "margin": 32, "multitask": True}
RUN = {"steps": 2, "validate_every": 2, "tensorboard": False, "jit_compile": False}


def recipe(**changes):
    target = {"name": "multitask", "min_size": 3}
    groups = {"model": MODEL, "target": target, "batches": {"tile": 32, "size": 4}, "run": RUN}
    return ku.Recipe(**{**groups, **changes})


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"target": {"name": "classes"}}, "trains segmentation, boundary, distance, but the"),
        ({"model": {**MODEL, "multitask": False}}, "trains one output, but the target 'multitask'"),
        ({"model": {"name": "unet", "filters": 2, "depth": 1}}, "'multitask': True"),
    ],
)
def test_heads_that_do_not_fit_are_refused(groups, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        ku.train(SAMPLES[:1], recipe(**groups), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_the_loss_of_heads_by_hand():
    loss = MultitaskTarget().loss()
    y, weights = MultitaskTarget().encode(SAMPLES[0].instances)
    perfect = np.where(y > 0.5, 40.0, -40.0).astype(np.float32)[None]
    assert y.shape == (56, 72, 6)
    exact = float(loss(y[None], perfect, weights[None]))
    assert exact < float(loss(y[None], -perfect, weights[None]))
    assert exact < 0.3  # distances between 0 and 1 are not reached by these logits
