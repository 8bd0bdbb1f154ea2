"""Trains the same models on one device and on two logical CPU devices; prints JSON.

A script of its own because devices are split before TensorFlow starts. Both trainings see the same
global batches: seven images in batches of four, so that the replicas get two and two images, then
two and one. Weights differ widely between the replicas.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_unet import layers, losses, metrics
from keras_unet.training import make_strategy, strategy_scope

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

IGNORE = {"ignore_class": -1}

# One head of the model each: loss and factor. "keras" is a control: it normalizes per replica.
HEADS = {
    "mean_per_weight": (losses.WeightedCrossentropy(**IGNORE), 1.0),
    "sum": (losses.WeightedCrossentropy(**IGNORE, reduction="sum"), 0.01),
    "sum_over_batch_size": (
        losses.WeightedCrossentropy(**IGNORE, reduction="sum_over_batch_size"),
        1.0,
    ),
    "class_weights": (losses.WeightedCrossentropy(class_weights=[0.1, 1, 5], **IGNORE), 1.0),
    "dice_per_image": (losses.SoftDice(**IGNORE), 3.0),
    "dice_per_batch": (losses.SoftDice(**IGNORE, per_image=False), 3.0),
    "crossentropy_dice": (losses.CrossentropyDice(**IGNORE), 1.0),
    "keras": (
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, **IGNORE, reduction="mean_with_sample_weight"
        ),
        1.0,
    ),
}


def data(count=7):
    rng = np.random.default_rng(3)
    images = rng.normal(size=(count, 8, 6, 1)).astype("float32")
    classes = rng.integers(-1, 3, size=(count, 8, 6)).astype("int32")
    scale = np.array([1, 2, 10, 30, 5, 1, 50], "float32")[:count, None, None]
    weights = scale * rng.random((count, 8, 6)).astype("float32")
    weights[0] = 0  # an image without annotation
    return tf.data.Dataset.from_tensor_slices((images, classes, weights)).batch(4)


def per_head(image, classes, weights):
    return image, dict.fromkeys(HEADS, classes), dict.fromkeys(HEADS, weights)


def head(image, name):
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="tanh", name=f"hidden_{name}")
    return keras.layers.Conv2D(3, 1, name=name)(hidden(image))


def train(strategy):
    """Trains independent heads, one a loss, in one model: history and weights of each."""
    settings = {"num_classes": 3, **IGNORE}
    with strategy_scope(strategy):
        keras.utils.set_random_seed(0)
        image = keras.Input((None, None, 1))
        model = keras.Model(image, {name: head(image, name) for name in HEADS})
        model.compile(
            keras.optimizers.SGD(0.3),
            loss={name: loss for name, (loss, _) in HEADS.items()},
            loss_weights={name: weight for name, (_, weight) in HEADS.items()},
            metrics={"sum": [metrics.MeanIoU(**settings)]},
            weighted_metrics={"sum": [metrics.Dice(**settings), metrics.PixelAccuracy(**settings)]},
        )
    before = weights_of(model)
    history = model.fit(data().map(per_head), epochs=2, shuffle=False, verbose=0).history
    evaluated = model.evaluate(data().map(per_head), verbose=0, return_dict=True)
    after = weights_of(model)
    return {
        "history": history,
        "evaluated": evaluated,
        "weights": {name: after[name].tolist() for name in HEADS},
        "moved": {name: float(abs(after[name] - before[name]).max()) for name in HEADS},
    }


def plain_fit(strategy, count=7):
    """Reported losses of a model with one output, which Keras tracks on another way."""
    with strategy_scope(strategy):
        model = keras.Sequential([keras.layers.Conv2D(3, 1, kernel_initializer="ones")])
        model.compile(keras.optimizers.SGD(0.3), loss=losses.WeightedCrossentropy(**IGNORE))
    return model.fit(data(count), epochs=2, shuffle=False, verbose=0).history["loss"]


def weights_of(model):
    return {
        name: np.concatenate(
            [
                w.ravel()
                for layer in (f"hidden_{name}", name)
                for w in model.get_layer(layer).get_weights()
            ]
        )
        for name in HEADS
    }


def custom_loop(strategy):
    """Values of hand-written steps, the replicas' losses added up; one replica gets no image.

    (A whole model cannot be trained so: TensorFlow's convolution takes no empty batch.)
    """
    loss = losses.CrossentropyDice(**IGNORE)
    dataset = strategy.experimental_distribute_dataset(data(5))

    @tf.function
    def step(batch):
        def replica_step(image, classes, weights):
            return loss(classes, tf.concat([image, -image, image**2], axis=-1), weights)

        return strategy.reduce("SUM", strategy.run(replica_step, args=batch), axis=None)

    return [float(step(batch)) for batch in dataset]


def normalized(layer_class):
    """Weights and averages after training a network with this batch normalization."""
    with strategy_scope("mirrored"):
        keras.utils.set_random_seed(0)
        image = keras.Input((None, None, 1))
        x = layer_class(momentum=0.9)(keras.layers.Conv2D(3, 3)(image))
        model = keras.Model(image, keras.layers.Conv2D(3, 1)(keras.layers.ReLU()(x)))
        model.compile(keras.optimizers.SGD(0.3), loss=losses.WeightedCrossentropy(**IGNORE))
    inner = data().map(lambda x, y, w: (x, y[:, 1:-1, 1:-1], w[:, 1:-1, 1:-1]))
    model.fit(inner, epochs=3, shuffle=False, verbose=0)
    return [weight.tolist() for weight in model.get_weights()]


def main():
    mirrored = make_strategy("mirrored")
    results = {
        "replicas": mirrored.num_replicas_in_sync,
        "custom_loop": {
            "single": custom_loop(tf.distribute.get_strategy()),
            "mirrored": custom_loop(mirrored),
        },
        "plain_fit": {"single": plain_fit(None), "mirrored": plain_fit(mirrored)},
        "a replica without an image": {  # five images in batches of four
            "single": plain_fit(None, 5),
            "mirrored": plain_fit(mirrored, 5),
        },
        "normalized": [
            normalized(layer_class)
            for layer_class in (keras.layers.BatchNormalization, layers.BatchNormalization)
        ],
        "single": train(None),
        "mirrored": train(mirrored),
        "one_device": make_strategy("mirrored", ["/cpu:1"]).extended.worker_devices,
    }
    # Outside a replica a strategy's scope changes nothing.
    image, classes, weights = next(iter(data()))
    outputs = tf.concat([image, -image, image**2], axis=-1)
    loss = losses.CrossentropyDice(**IGNORE)
    with mirrored.scope():
        in_scope = float(loss(classes, outputs, weights))
    results["cross_replica"] = [in_scope, float(loss(classes, outputs, weights))]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
