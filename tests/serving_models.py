"""A tiny SavedModel with the signatures of an export, whose answers can be checked by hand."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

CLASS_NAMES = ["background", "cell"]
ABOUT = {
    "class_names": CLASS_NAMES,
    "channels": 1,
    "max_pixels": 2_000_000,
    "normalization": {"mode": "none"},
    "target": {"name": "classes", "config": {"min_size": 3}},
}


class Threshold(tf.Module):
    """Probability of the cell: grey / 256, plus `shift`. Class 1 where it is over one half."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = tf.Variable(shift, dtype=tf.float32)

    def scores(self, images):
        images = tf.ensure_shape(images, [None, None, None, 1])
        with tf.control_dependencies([tf.debugging.assert_greater(tf.shape(images)[:3], 0)]):
            cell = images / 256.0 + self.shift
        return tf.concat([1.0 - cell, cell], -1)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], tf.float32, "images")])
    def probabilities(self, images):
        return {"probabilities": self.scores(images)}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], tf.uint8, "images")])
    def classes(self, images):
        scores = self.scores(tf.cast(images, tf.float32))
        return {"classes": self.labels(scores)}

    @staticmethod
    def labels(scores):
        return tf.cast(scores[..., 1] > scores[..., 0], tf.uint8)

    def one(self, data):
        image = tf.io.decode_image(data, channels=1, expand_animations=False)
        mask = self.labels(self.scores(tf.cast(image[None], tf.float32)))[0]
        shape = tf.shape(mask)
        return tf.io.encode_png(mask[..., None]), shape[0], shape[1]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def segment_bytes(self, image_bytes):
        masks, heights, widths = tf.map_fn(
            self.one, image_bytes, fn_output_signature=(tf.string, tf.int32, tf.int32)
        )
        return {"mask_png_bytes": masks, "height": heights, "width": widths}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "query")])
    def metadata(self, query):
        about = json.dumps(ABOUT)
        return {"metadata_json": tf.fill(tf.shape(query), about)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, "a"),
            tf.TensorSpec([None], tf.int32, "b"),
        ]
    )
    def pair(self, a, b):
        """Two inputs and two outputs; the quotient can be infinite, or no number."""
        return {"total": a + tf.cast(b, tf.float32), "quotient": a / tf.cast(b, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def scalar(self, x):
        return {"mean": tf.reduce_mean(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def half(self, x):
        return {"half": tf.cast(x, tf.float16)}


def write_version(base: Path, version: int, shift: float = 0.0, warm_up: bool = True) -> Path:
    """Writes `base/version` as an export does: complete or not at all."""
    from keras_unet.export.to_saved_model import write_warmup

    module = Threshold(shift)
    unfinished = base / f".{version}"
    signatures = {
        "serving_default": module.probabilities,
        "classes": module.classes,
        "segment_bytes": module.segment_bytes,
        "metadata": module.metadata,
        "pair": module.pair,
        "scalar": module.scalar,
        "half": module.half,
    }
    tf.saved_model.save(module, str(unfinished), signatures=signatures)
    if warm_up:
        requests = [
            ("classes", {"images": np.zeros((1, 5, 7, 1), np.uint8)}),
            ("segment_bytes", {"image_bytes": [png(np.zeros((5, 7), np.uint8))]}),
        ]
        write_warmup(unfinished, base.name, requests)
    return unfinished.rename(base / str(version))


def png(image: np.ndarray) -> bytes:
    """A grey PNG file."""
    return tf.io.encode_png(image[..., None]).numpy()


MODEL_CONFIG = """model_config_list {{
  config {{
    name: "cells" base_path: "{base}" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "canary" value: 2 }}
  }}
}}
"""


def write_models(folder: Path) -> Path:
    """Writes two versions of the model `cells`, the older one shifted, and their `model.config`."""
    base = folder.resolve() / "cells"
    base.mkdir()
    write_version(base, 1, shift=0.25)
    write_version(base, 2)
    config = folder / "model.config"
    config.write_text(MODEL_CONFIG.format(base=base))
    return config


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


if __name__ == "__main__":
    print(write_models(Path(sys.argv[1])))
