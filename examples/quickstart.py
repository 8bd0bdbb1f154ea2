# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From a few annotated images to a segmentation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/keras-unet/keras-unet-bio/blob/main/examples/quickstart.ipynb)
#
# Trains the U-Net of the paper, at a narrower width, on synthetic touching cells (or on your own
# images), and segments images of any size. Expected: mean IoU above 0.85 on unseen images; about
# three minutes on two CPU cores, less than one on a GPU.
#
#     jupyter nbconvert --execute examples/quickstart.ipynb     # or: python examples/quickstart.py

# %%
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("keras_unet") is None:  # on Colab
    source = "git+https://github.com/keras-unet/keras-unet-bio"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", source], check=True)

QUICK = os.environ.get("KERAS_UNET_QUICK") == "1"  # a smoke test of this notebook, no result
STEPS, EPOCHS = (2, 2) if QUICK else (50, 8)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_unet as ku
from keras_unet.report import pictures

keras.utils.set_random_seed(0)

# %% [markdown]
# ## Images and annotations
#
# A sample is an image and its *instances*: 0 is background, every cell has a number of its own.
# To use your own images, put them and their masks into two folders with the same file names and set
# `OWN_IMAGES` and `OWN_MASKS`; masks may be numbered cells, or black and white.

# %%
OWN_IMAGES = OWN_MASKS = None  # for example "images", "masks"

if OWN_IMAGES:
    samples = ku.data.read_folder(OWN_IMAGES, OWN_MASKS)
    training, unseen = samples[:-2], samples[-2:]
else:
    training = ku.data.synthetic_cells(12, shape=(256, 256), seed=0)
    unseen = ku.data.synthetic_cells(4, shape=(256, 320), seed=1)

print(f"{len(training)} images for training, the first is {training[0].image.shape}")

# %% [markdown]
# ## What the network learns
#
# The class map has a gap of one pixel between touching cells, and the weight map makes the pixels
# in narrow gaps count up to ten times more, so that the network learns to keep cells apart:
# $w(x) = w_c(x) + w_0 \exp(-(d_1(x) + d_2(x))^2 / 2\sigma^2)$.

# %%
instances = ku.objects.separate_touching(training[0].instances)
weights = ku.targets.weight_map(instances, w0=10.0, sigma=5.0)


def show(**titled):
    """Pictures beside each other."""
    _, axes = plt.subplots(1, len(titled), figsize=(5 * len(titled), 5), squeeze=False)
    for axis, (title, picture) in zip(axes[0], titled.items(), strict=True):
        axis.imshow(picture)
        axis.set_title(title.replace("_", " "))
        axis.axis("off")
    plt.show()


show(
    image=pictures.to_rgb(training[0].image),
    annotation=pictures.overlay(training[0].image, instances),
    weight_map=pictures.heat(weights),
)

# %% [markdown]
# ## Plain Keras
#
# `model.geometry` knows which sizes fit: valid convolutions of depth 3 take 8 k + 28 pixels.

# %%
model = ku.models.UNet((None, None, training[0].channels), filters=16, depth=3, padding="valid")
tile = model.geometry.nearest(204)[1]
dataset = ku.data.training_dataset(
    training,
    model.geometry,
    tile=tile,
    batch_size=4,
    augmentation=ku.data.Augmentation(sigma=4.0),
    weights="paper",
)
model.compile(
    optimizer=keras.optimizers.Adam(2e-3),
    loss=ku.losses.WeightedCrossentropy(),
    metrics=[ku.metrics.MeanIoU(num_classes=2, name="iou")],
)
history = model.fit(dataset, steps_per_epoch=STEPS, epochs=EPOCHS, verbose=2)

# %%
_, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
left.plot(history.history["loss"])
left.set(title="weighted cross-entropy", xlabel="epoch")
right.plot(history.history["iou"])
right.set(title="mean IoU of the training tiles", xlabel="epoch")
plt.show()

# %% [markdown]
# ## Any image size
#
# A `Segmenter` is the model with its normalization. It mirrors the image at its border and cuts it
# into tiles that fit together without a seam.

# %%
segmenter = ku.Segmenter(model, max_tile=tile)
scores = segmenter.evaluate(unseen)
print(f"mean IoU {scores['mean_iou']:.3f}   SEG {scores['seg']:.3f}")
print(f"{scores['pred_count']} cells found, {scores['true_count']} are there")

found = segmenter.predict(unseen[0].image)
show(
    probability_of_cell=pictures.heat(found.probabilities[..., 1], 0, 1),
    cells=pictures.overlay(unseen[0].image, found.instances),
    errors=pictures.errors(unseen[0].image, unseen[0].class_map(), found.classes),
)

# %%
segmenter.save("runs/quickstart")
again = ku.Segmenter.load("runs/quickstart").predict(unseen[0].image)
assert np.array_equal(again.instances, found.instances)
print("saved to runs/quickstart: keras-unet predict runs/quickstart IMAGE")
