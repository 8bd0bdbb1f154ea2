from __future__ import annotations

import numpy as np
import pytest

from keras_unet.errors import UsageError
from keras_unet.sample import Sample
from keras_unet.training import step_memory
from keras_unet.training.recipe import Recipe
from keras_unet.training.setup import Setup, build_network, make_target, split_samples

pytestmark = pytest.mark.core


def sample(index=0, channels=1, shape=(20, 24)):
    ids = np.zeros(shape, np.int32)
    ids[2:8, 3:9], ids[10:16, 12:20] = 1, 2
    image = np.random.default_rng(index).random((*shape, channels), np.float32)
    return Sample(image, ids, name=str(index))


SAMPLES = [sample(index) for index in range(10)]


def names(samples):
    return "".join(one.name for one in samples)


SPLITS = [
    (None, "0123456789", ""),
    (0, "0123456789", ""),
    (3, "0123456", "789"),
    (0.2, "01234567", "89"),
    (0.01, "012345678", "9"),
    (6, "0123", "4578"),  # four spread over six
]


@pytest.mark.parametrize(("validation", "training", "held_out"), SPLITS)
def test_split(validation, training, held_out):
    found = split_samples(SAMPLES, validation, most=4)
    assert tuple(map(names, found)) == (training, held_out)


def test_given_samples_are_taken():
    training, held_out = split_samples(SAMPLES[:8], SAMPLES[8:], most=4)
    assert (names(training), names(held_out)) == ("01234567", "89")


ILL_SPLITS = [10, -1, 1.0, 0.99, -0.5, True, 1.5]


@pytest.mark.parametrize("validation", ILL_SPLITS)
def test_ill_splits(validation):
    with pytest.raises(ValueError, match="it must leave one to train on"):
        split_samples(SAMPLES, validation, most=4)


def test_a_sample_in_both_is_refused():
    with pytest.raises(ValueError, match="validation sample 1 '3' is also a training sample"):
        split_samples(SAMPLES[:5], [SAMPLES[7], SAMPLES[3]], most=4)


TINY = Recipe(model={"filters": 2, "depth": 1})


def test_setup_settles_what_the_recipe_leaves_open(caplog):
    recipe = TINY.replace(target={"class_weights": "balanced"})
    setup = Setup.check(recipe, [sample(channels=3)], [])
    assert setup.network.input_shape == (None, None, None, 3)
    assert setup.network.output_shape[-1] == setup.target.num_outputs == 2
    assert setup.tile == 24
    assert setup.table.pixels == (480 - 36 - 48, 84)
    weights = setup.target.get_config()["class_weights"]
    assert weights == pytest.approx([480 / (2 * 396), 480 / (2 * 84)])


def test_samples_are_checked_at_the_resolution():
    ids = np.zeros((20, 24), np.int32)
    ids[2:8, 4:10], ids[10:16, 12:20] = 1, 2
    recipe = TINY.replace(images={"resolution": 0.5})
    setup = Setup.check(recipe, [Sample(SAMPLES[0].image, ids)], SAMPLES[1:2])
    np.testing.assert_array_equal(setup.training[0].instances, ids[::2, ::2])
    assert setup.table.pixels == (120 - 9 - 12, 9 + 12)
    assert setup.tile == 12


def test_full_resolution_keeps_the_samples():
    setup = Setup.check(TINY, SAMPLES[:2], [])
    assert all(one is other for one, other in zip(setup.training, SAMPLES, strict=False))


def test_objects_that_the_grid_cannot_show(caplog):
    ids = SAMPLES[0].instances.copy()
    ids[18, 20] = 3
    lost = Sample(SAMPLES[0].image, ids)
    Setup.check(TINY.replace(images={"resolution": 0.25}), [lost], [])
    assert "1 of 3 objects vanish at resolution 0.25" in caplog.text
    dots = Sample(SAMPLES[0].image, 3 * (ids == 3))
    with pytest.raises(ValueError, match="is annotated as foreground"):
        Setup.check(TINY.replace(images={"resolution": 0.25}), [dots], [])


def test_number_of_classes_is_counted():
    classes = np.zeros((20, 24), int)
    classes[4:9, 5:9], classes[11:15, 12:20] = 1, 2
    semantic = Sample(SAMPLES[0].image, classes=classes)
    assert Setup.check(TINY, [semantic], []).target.num_outputs == 3
    four = TINY.replace(target={"num_classes": 4})
    assert Setup.check(four, [semantic], []).target.num_outputs == 4


def test_a_class_that_only_held_out_images_have_is_a_class(caplog):
    two, three = np.zeros((20, 24), int), np.zeros((20, 24), int)
    two[4:9, 5:9], three[4:9, 5:9] = 1, 2
    image = SAMPLES[0].image
    held_out = [Sample(image, classes=three, name="b")]
    setup = Setup.check(TINY, [Sample(image, classes=two)], held_out)
    assert setup.target.num_outputs == 3
    assert setup.table.pixels == (480 - 20, 20, 0)
    assert "class 2 does not occur in the training samples" in caplog.text
    with pytest.raises(ValueError, match=r"^validation sample 0 \(b\): classes must be 0\.\.1"):
        Setup.check(TINY.replace(target={"num_classes": 2}), [SAMPLES[1]], held_out)


def test_a_class_that_a_coarse_grid_loses_is_a_class():
    classes = np.zeros((20, 24), int)
    classes[4:9, 5:9], classes[15, 15] = 1, 2
    recipe = TINY.replace(images={"resolution": 0.25})
    assert Setup.check(recipe, [Sample(SAMPLES[0].image, classes=classes)], []).table.pixels[2] == 0


def test_batch_norm_with_few_tiles_warns(caplog):
    Setup.check(TINY.replace(batches={"size": 1}), SAMPLES, [])
    assert "batch normalization over 1 tile" in caplog.text


ILL_SETUPS = [
    (TINY, [sample(channels=3)], "same number of axes and channels"),
    (TINY.replace(batches={"tile": 31}), [], "nearest are 30 and 32"),
    (TINY.replace(target={"class_weights": [1, 2, 3]}), [], "class_weights needs 2 numbers"),
]


@pytest.mark.parametrize(("recipe", "held_out", "message"), ILL_SETUPS)
def test_ill_setups(recipe, held_out, message):
    with pytest.raises(ValueError, match=message):
        Setup.check(recipe, SAMPLES[:2], held_out)


HUGE = {"name": "fcn", "filters": 8192, "units": 65536}
TOO_LARGE = [
    ({"filters": 65536}, {}, r"about .*[GT]B for filters=65536, depth=1; this machine has"),
    ({"depth": 12, "filters": 32}, {}, r"about .*[TP]B for filters=32, depth=12; this machine"),
    (HUGE, {}, r"TB for filters=8192, units=65536"),
    ({}, {"tile": 65536}, r"about .*TB for 4 tiles of 65536 x 65536 pixels with 'unet"),
    ({}, {"size": 65536, "tile": [512, 1024]}, "TB for 65536 tiles of 512 x 1024 pixels"),
]


@pytest.mark.parametrize(("model", "batches", "message"), TOO_LARGE)
def test_what_the_machine_cannot_hold_is_refused_before_it_is_tried(model, batches, message):
    options = model if "name" in model else {"filters": 2, "depth": 1, **model}
    recipe = Recipe(model=options, batches=batches)
    with pytest.raises(UsageError, match=message) as caught:
        Setup.check(recipe, SAMPLES[:1], [])
    assert "lower one of --model.filters" in caught.value.command_line or (
        "lower --batch-size, --tile" in caught.value.command_line
    )


def test_the_estimate_is_of_the_order_of_the_weights(monkeypatch):
    """5 numbers a weight, of 4 bytes; 18 and 2 x 6 activations a pixel of 2 tiles."""
    recipe = TINY.replace(batches={"size": 2, "tile": 32})
    network = Setup.check(recipe, SAMPLES[:1], []).network
    needed = 20 * network.count_params()
    shape = (None, None, 1)
    step_memory.check_network(recipe, shape, 2, needed)
    with pytest.raises(UsageError, match=r"about .*KB for filters=2, depth=1; this machine has"):
        step_memory.check_network(recipe, shape, 2, needed - 1)
    largest = 2 * 32 * 32 * 2 * 4  # bytes of the two maps of the first convolution
    with pytest.raises(UsageError, match="a step takes about"):
        step_memory.check_step(recipe, network, 32, 2 * largest)
    step_memory.check_step(recipe, network, 32, 40 * largest)
    step_memory.check_step(recipe, network, (32, 16), None)


def test_the_machine_tells_its_memory(monkeypatch, tmp_path):
    found = step_memory.machine_memory()
    assert found is None or found > 2**28
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "limit").write_text("max\n")
    limits = [str(tmp_path / name) for name in ("limit", "memory.max", "missing")]
    monkeypatch.setattr(step_memory, "_LIMITS", limits)
    assert found is None or step_memory.machine_memory() in (1000, found)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (24_105_000_000, "24.1 GB"), (3 * 10**12, "3 TB")],
)
def test_sizes_in_words(size, text):
    assert step_memory.size_text(size) == text


@pytest.mark.parametrize("run", [{"patience": 3}, {"monitor": "seg"}])
def test_what_needs_validation_images_is_said_where_there_are_none(run, caplog):
    recipe = TINY.replace(run=run)
    (name,) = run
    Setup.check(recipe, SAMPLES[:1], [])
    (message,) = [one for one in caplog.messages if "no effect" in one]
    assert message.startswith(f"{name} {run[name]} has no effect: {name} needs validation images")
    assert "--validation" in message
    assert "=" not in message  # the command line prints it, too
    caplog.clear()
    Setup.check(recipe, SAMPLES[:1], SAMPLES[1:2])
    assert "no effect" not in caplog.text


@pytest.mark.parametrize("monitor", ["seg", "ap50", "f1"])
def test_a_score_that_the_validation_images_do_not_give(monitor):
    classes = Sample(SAMPLES[1].image, classes=(SAMPLES[1].instances > 0).astype(np.int32))
    recipe = TINY.replace(run={"monitor": monitor})
    with pytest.raises(
        UsageError, match=f"no objects, which the score '{monitor}' needs"
    ) as caught:
        Setup.check(recipe, SAMPLES[:1], [classes])
    assert "say --monitor mean_iou" in caught.value.command_line
    Setup.check(recipe, SAMPLES[:1], [classes, SAMPLES[2]])  # objects of one are enough


def test_heads_that_the_target_does_not_learn_are_refused():
    options = {"name": "res_unet_a", "filters": 2, "window": 32, "multitask": True}
    message = "model 'res_unet_a' trains segmentation, boundary, distance, but the target 'classes'"
    with pytest.raises(ValueError, match=message):
        Setup.check(Recipe(model=options), SAMPLES[:1], [])


def test_one_output_for_two_classes():
    setup = Setup.check(TINY.replace(model={"num_classes": 1}), SAMPLES[:1], [])
    assert setup.network.output_shape[-1] == 1
    assert setup.build_network("mixed_bfloat16").output_shape[-1] == 1
    assert setup.target.num_classes == 2


@pytest.mark.parametrize(
    ("model", "target", "needed"),
    [
        ({"num_classes": 1}, {"num_classes": 3}, "'classes' needs 3"),
        ({"num_classes": 3}, {}, "'classes' needs 2"),
        ({"num_classes": 1}, {"name": "seeds"}, "'seeds' needs 2"),
    ],
)
def test_outputs_that_the_target_does_not_take(model, target, needed):
    recipe = TINY.replace(model=model, target=target)
    with pytest.raises(UsageError, match=f"num_classes={model['num_classes']} .* {needed}") as e:
        Setup.check(recipe, SAMPLES[:1], [])
    assert "leave --model.num_classes away" in e.value.command_line


def test_class_weights_as_given():
    setup = Setup.check(TINY, SAMPLES[:1], [])
    target = make_target(TINY.replace(target={"class_weights": [1, 3]}), setup.table)
    assert list(target.get_config()["class_weights"]) == [1, 3]


def test_precision_is_of_the_network_that_trains():
    setup = Setup.check(TINY.replace(run={"precision": "mixed_bfloat16"}), SAMPLES[:1], [])
    trained = setup.build_network("mixed_bfloat16")
    assert trained.dtype_policy.name == "mixed_bfloat16"
    assert setup.network.dtype_policy.name == "float32"
    assert trained.output.dtype == "float32"


def test_rank_three():
    network = build_network(TINY, (None, None, None, 1), 2)
    assert network.geometry.rank == 3


def test_an_architecture_gets_what_it_takes():
    recipe = TINY.replace(model={"name": "res_unet", "shortcut": "identity"})
    network = Setup.check(recipe, SAMPLES[:1], []).network
    config = network.get_config()
    assert (config["filters"], config["depth"], config["shortcut"]) == (2, 1, "identity")
    assert network.geometry.padding == "same"
