"""Loads saved models and answers, in a process of its own. After each one it forgets the package,
so that every model is the first that it loads.
"""

import json
import sys
import traceback

import keras_unet  # isort: skip  (before Keras, as in a user's script)
import keras
import numpy as np
from answers import answer


def load(model: str, x: str, y: str) -> dict[str, str]:
    """Writes what the model says about the array `x` to the file `y`."""
    network = keras.saving.load_model(model)
    np.save(y, keras.ops.convert_to_numpy(answer(network, np.load(x))))
    return {"geometry": str(network.geometry)}


def forget() -> None:
    """As if the package had never been imported here."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "keras_unet"]:
        del sys.modules[name]
    classes = keras.saving.get_custom_objects()
    for name in [name for name in classes if name.startswith("keras_unet>")]:
        del classes[name]


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            found = load(*json.loads(line))
        except Exception:
            found = {"error": traceback.format_exc()}
        print(json.dumps(found), flush=True)
        forget()
        import keras_unet  # noqa: F401
