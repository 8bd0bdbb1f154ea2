"""Runs a SavedModel by the TensorFlow C API: the loader that TensorFlow Serving uses.

    python c_api.py LIBRARIES MODEL CALLS.npz ANSWERS.npz

Runs in a process of its own, because a kernel that aborts ends its process. LIBRARIES holds
`libtensorflow_framework.so.2` and `libtensorflow_cc.so.2`, of the installed TensorFlow or of
another release (unpacked from its wheel): nothing of Python's TensorFlow is imported here.

CALLS holds `calls`, a JSON list of `{"signature", "inputs": {name: key}, "repeat"}`, and the arrays
under their keys; an array of objects holds bytes. ANSWERS is written after every call, so that it
tells how far it came: `N:name` outputs, or `N:error` as `CODE message`.
"""

from __future__ import annotations

import ctypes
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 7: None, 9: np.int64}
STRING = 7
TSTRING = 24
c = ctypes


class Output(c.Structure):
    _fields_ = (("oper", c.c_void_p), ("index", c.c_int))


class Buffer(c.Structure):
    _fields_ = (("data", c.c_void_p), ("length", c.c_size_t), ("deallocator", c.c_void_p))


RETURNS = {
    "TF_NewStatus": c.c_void_p,
    "TF_GetCode": c.c_int,
    "TF_Message": c.c_char_p,
    "TF_NewSessionOptions": c.c_void_p,
    "TF_NewGraph": c.c_void_p,
    "TF_NewBuffer": c.c_void_p,
    "TF_LoadSessionFromSavedModel": c.c_void_p,
    "TF_GraphOperationByName": c.c_void_p,
    "TF_AllocateTensor": c.c_void_p,
    "TF_TensorData": c.c_void_p,
    "TF_TensorType": c.c_int,
    "TF_NumDims": c.c_int,
    "TF_Dim": c.c_int64,
    "TF_TensorByteSize": c.c_size_t,
    "TF_StringGetDataPointer": c.c_void_p,
    "TF_StringGetSize": c.c_size_t,
    "TF_Version": c.c_char_p,
}


def libraries(folder: Path) -> c.CDLL:
    c.CDLL(str(folder / "libtensorflow_framework.so.2"), mode=c.RTLD_GLOBAL)
    library = c.CDLL(str(folder / "libtensorflow_cc.so.2"), mode=c.RTLD_GLOBAL)
    for name, kind in RETURNS.items():
        getattr(library, name).restype = kind
    return library


# === Protocol buffers, as much as is needed ===


def fields(data: bytes):
    """Pairs of a field's number and its content, an integer or bytes."""
    place = 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            digit = data[place]
            place += 1
            value |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return value

    while place < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 2:
            length = varint()
            yield tag >> 3, data[place : place + length]
            place += length
        else:
            size = {1: 8, 5: 4}[tag & 7]
            yield tag >> 3, data[place : place + size]
            place += size


def last(data: bytes, number: int, default=b""):
    return dict(fields(data)).get(number, default)


def tensor_infos(signature: bytes, number: int) -> dict[str, tuple[str, int]]:
    """Name -> (name of the tensor in the graph, dtype)."""
    entries = [content for key, content in fields(signature) if key == number]
    return {
        last(entry, 1).decode(): (last(last(entry, 2), 1).decode(), last(last(entry, 2), 2, 0))
        for entry in entries
    }


def signatures(meta_graph: bytes) -> dict[str, tuple[dict, dict]]:
    entries = [content for key, content in fields(meta_graph) if key == 5]
    return {
        last(entry, 1).decode(): (tensor_infos(last(entry, 2), 1), tensor_infos(last(entry, 2), 2))
        for entry in entries
    }


class Model:
    """A loaded SavedModel."""

    def __init__(self, library: c.CDLL, folder: Path) -> None:
        self.tf = library
        self.status = c.c_void_p(library.TF_NewStatus())
        self.graph = c.c_void_p(library.TF_NewGraph())
        meta = c.c_void_p(library.TF_NewBuffer())
        tags = (c.c_char_p * 1)(b"serve")
        self.session = c.c_void_p(
            library.TF_LoadSessionFromSavedModel(
                c.c_void_p(library.TF_NewSessionOptions()),
                None,
                str(folder).encode(),
                tags,
                1,
                self.graph,
                meta,
                self.status,
            )
        )
        self.check(self.status)
        buffer = c.cast(meta, c.POINTER(Buffer)).contents
        self.signatures = signatures(c.string_at(buffer.data, buffer.length))

    def check(self, status) -> None:
        if code := self.tf.TF_GetCode(status):
            raise RuntimeError(f"{code} {self.tf.TF_Message(status).decode(errors='replace')}")

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        wanted, given = self.signatures[signature][1], self.signatures[signature][0]
        feeds = (Output * len(inputs))(*[self.output(given[name][0]) for name in inputs])
        tensors = (c.c_void_p * len(inputs))(*[self.tensor(value) for value in inputs.values()])
        fetches = (Output * len(wanted))(*[self.output(info[0]) for info in wanted.values()])
        results = (c.c_void_p * len(wanted))()
        status = c.c_void_p(self.tf.TF_NewStatus())
        self.tf.TF_SessionRun(
            self.session, None, feeds, tensors, len(inputs), fetches, results, len(wanted),
            None, 0, None, status,
        )  # fmt: skip
        self.check(status)
        return {
            name: self.array(c.c_void_p(result))
            for name, result in zip(wanted, results, strict=True)
        }

    def output(self, name: str) -> Output:
        operation, _, index = name.partition(":")
        found = self.tf.TF_GraphOperationByName(self.graph, operation.encode())
        return Output(found, int(index or 0))

    def tensor(self, value: np.ndarray) -> int:
        dims = (c.c_int64 * value.ndim)(*value.shape)
        if value.dtype == object:
            size = TSTRING * value.size
            found = self.tf.TF_AllocateTensor(STRING, dims, value.ndim, c.c_size_t(size))
            start = self.tf.TF_TensorData(c.c_void_p(found))
            for index, text in enumerate(value.ravel()):
                place = c.c_void_p(start + TSTRING * index)
                self.tf.TF_StringInit(place)
                self.tf.TF_StringCopy(place, text, c.c_size_t(len(text)))
            return found
        number = next(n for n, dtype in DTYPES.items() if dtype == value.dtype)
        value = np.ascontiguousarray(value)
        found = self.tf.TF_AllocateTensor(number, dims, value.ndim, c.c_size_t(value.nbytes))
        c.memmove(self.tf.TF_TensorData(c.c_void_p(found)), value.ctypes.data, value.nbytes)
        return found

    def array(self, tensor) -> np.ndarray:
        shape = [self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))]
        start, dtype = self.tf.TF_TensorData(tensor), DTYPES[self.tf.TF_TensorType(tensor)]
        if dtype is None:
            count = int(np.prod(shape))
            places = [c.c_void_p(start + TSTRING * index) for index in range(count)]
            texts = [
                c.string_at(self.tf.TF_StringGetDataPointer(p), self.tf.TF_StringGetSize(p))
                for p in places
            ]
            return np.array([*texts, None], object)[:-1].reshape(shape)
        data = c.string_at(start, self.tf.TF_TensorByteSize(tensor))
        return np.frombuffer(data, dtype).reshape(shape)


def main(folder: str, model: str, calls: str, answers: str) -> None:
    library = libraries(Path(folder))
    loaded = Model(library, Path(model))
    given = np.load(calls, allow_pickle=True)
    found: dict[str, np.ndarray] = {
        "version": np.array(library.TF_Version().decode()),
        "signatures": np.array(
            json.dumps({name: [sig[0], sig[1]] for name, sig in loaded.signatures.items()})
        ),
    }
    np.savez(answers, **found)
    for number, call in enumerate(json.loads(str(given["calls"]))):
        inputs = {name: given[key] for name, key in call["inputs"].items()}
        try:
            with ThreadPoolExecutor(4) as pool:  # ctypes lets the interpreter's lock go
                runs = [
                    pool.submit(loaded.run, call["signature"], inputs)
                    for _ in range(call.get("repeat", 1))
                ]
            results = [run.result() for run in runs]
            for name, value in results[0].items():
                same = all(np.array_equal(value, other[name]) for other in results)
                found[f"{number}:{name}"] = value if same else np.array("differs")
        except RuntimeError as error:
            found[f"{number}:error"] = np.array(str(error))
        np.savez(answers, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
