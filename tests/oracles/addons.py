"""What tensorflow-addons computes; runs in an environment of its own (TensorFlow 2.15, Keras 2).

    python addons.py INPUTS.npz OUTPUTS.npz [SAVED_MODEL]

With a SavedModel also `probabilities`, its answer to the array `images`.
"""

import sys

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

given = np.load(sys.argv[1])
image = tf.constant(given["image"])
found = {
    "bilinear": tfa.image.interpolate_bilinear(image, given["points"], indexing="ij"),
    "distance": tfa.image.euclidean_dist_transform(given["mask"]),
}
grid = np.stack(np.meshgrid(*map(np.arange, image.shape[1:3]), indexing="ij"), axis=-1)
for name in ("affine", "elastic"):
    flow = (grid - given[name]).astype(np.float32)
    found[f"{name}_warp"] = tfa.image.dense_image_warp(image, flow)
if len(sys.argv) > 3:
    run = tf.saved_model.load(sys.argv[3]).signatures["serving_default"]
    (found["probabilities"],) = run(images=tf.constant(given["images"])).values()
np.savez_compressed(sys.argv[2], **{name: value.numpy() for name, value in found.items()})
