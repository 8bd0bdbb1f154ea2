"""Clients of TensorFlow Serving, and a local server that speaks its contract.

`contract` is that of `tensorflow/serving`: its words and codes are not ours to change.
"""

from keras_unet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "client": ["GrpcClient", "RestClient"],
        "contract": ["ServingError"],
        "options": ["ServerOptions"],
        "server": ["Server"],
    },
    submodules=("client",),
)
