"""Validation tiles: every pixel once, in order, and numbers that are said once."""

import keras
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.data import num_classes, training_dataset, validation_dataset
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.normalization import Normalization
from keras_unet.sample import Sample
from keras_unet.targets import ClassTarget, SeedTarget

pytestmark = pytest.mark.core

PLAIN = Normalization("none")


def sample(seed=0, shape=(30, 37), channels=3, classes=3):
    generator = np.random.default_rng(seed)
    image = generator.normal(size=(*shape, channels)).astype("float32")
    return Sample(
        image, classes=generator.integers(0, classes, shape).astype("int32"), name=str(seed)
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("tile", [None, 44, (44, 60)])
def test_every_pixel_counts_once(padding, tile):
    geometry = UNetGeometry(depth=2, padding=padding, convs_per_level=1)
    if tile is not None:
        tile = tuple(geometry.nearest(size)[1] for size in np.broadcast_to(tile, 2).tolist())
    samples = [sample(0), sample(1, (50, 12))]
    data = validation_dataset(samples, geometry, tile, 2, weights={"w0": 0.0}, normalization=PLAIN)
    batches = [[part.numpy() for part in batch] for batch in data]
    assert len(batches) == len(data)
    _, y, weights = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    values = np.concatenate([s.classes.ravel() for s in samples])
    assert np.array_equal(np.bincount(y[weights > 0]), np.bincount(values))
    assert set(np.unique(weights)) <= {0, 1}
    assert {y.min(), y.max()} == {0, 2}


def test_tiles_are_cut_from_the_whole_encoding_and_mirrored_outside():
    geometry = UNetGeometry(depth=1, convs_per_level=1)  # reads 4 px around what it writes
    one = sample(shape=(7, 9), channels=1)
    ((image, y, weights),) = validation_dataset([one], geometry, 26, normalization=PLAIN)
    lost = geometry.margin
    expected = np.pad(one.image, [(lost, 26 - lost - 7), (lost, 26 - lost - 9), (0, 0)], "reflect")
    np.testing.assert_array_equal(image[0], expected)
    assert np.array_equal(y[0, :7, :9], one.classes)
    assert np.array_equal(
        y[0], expected_labels := np.pad(one.classes, [(0, 11), (0, 9)], "reflect")
    )
    assert expected_labels.shape == weights.shape[1:]
    assert float(np.sum(weights)) == 63


def test_pixels_without_annotation_have_no_weight():
    one = sample(channels=1)
    annotated = np.ones(one.shape, bool)
    annotated[:5] = False
    data = validation_dataset([one.replace(annotated=annotated)], UNetGeometry(depth=1))
    assert sum(int((w.numpy() > 0).sum()) for _, _, w in data) == annotated.sum()


def test_other_targets_and_volumes():
    (sample3,) = [Sample(np.zeros((5, 6, 7, 1), "float32"), instances=np.ones((5, 6, 7), "int32"))]
    geometry = UNetGeometry(depth=1, rank=3, convs_per_level=1)
    ((_, y, weights),) = validation_dataset([sample3], geometry, target=SeedTarget())
    assert y.shape == (*weights.shape, 2)
    assert float(np.sum(weights)) == 5 * 6 * 7


def test_classes_are_counted():
    assert num_classes([sample(classes=2), sample(classes=4)]) == 4
    cells = ku.data.synthetic_cells(1, shape=(20, 20), radius=4)
    assert num_classes(cells) == num_classes([sample(classes=1)]) == 2


def test_three_classes_of_colour_images_in_plain_keras():
    samples = [sample(seed) for seed in range(3)]
    count = num_classes(samples)
    model = ku.models.UNet((None, None, 3), num_classes=count, filters=2, depth=1)
    model.compile(
        "adam",
        ku.losses.WeightedCrossentropy(),
        weighted_metrics=[ku.metrics.MeanIoU(num_classes=count)],
    )
    training = training_dataset(samples[:2], model.geometry, tile=24)
    held_out = validation_dataset(samples[2:], model.geometry)
    options = {"steps_per_epoch": 2, "validation_data": held_out, "shuffle": False, "verbose": 0}
    history = model.fit(training, **options).history
    assert np.isfinite(history["val_loss"]).all()
    assert np.isfinite(history["val_mean_iou"]).all()
    two = ku.models.UNet((None, None, 3), filters=2, depth=1)
    two.compile("adam", ku.losses.WeightedCrossentropy())
    with pytest.raises(ValueError, match=r"class 2 in y, but the model has 2 outputs.*classes=3"):
        two.fit(training, **options)


def test_the_training_data_set_says_that_it_never_ends():
    tf = pytest.importorskip("tensorflow")
    data = training_dataset([sample()], UNetGeometry(depth=1), tile=24)
    assert int(data.cardinality()) == tf.data.INFINITE_CARDINALITY
    model = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Flatten()])
    assert len(model.predict(data, steps=3, verbose=0)) == 3


ILL_CASES = [
    ({"samples": []}, "at least one sample"),
    ({"batch_size": 0}, "batch_size=0"),
    ({"tile": 25}, "tile=25"),
    ({"target": ClassTarget(3), "weights": "paper"}, "has no effect beside a target"),
    ({"target": ClassTarget(2)}, r"has class 2, but the target has 2 classes.*num_classes=3"),
    ({"target": SeedTarget()}, "needs instances"),
]


@pytest.mark.parametrize(("options", "message"), ILL_CASES)
def test_ill_cases(options, message):
    arguments = {"samples": [sample()], "geometry": UNetGeometry(depth=1), **options}
    with pytest.raises(ValueError, match=message):
        validation_dataset(**arguments)
