"""What was changed in a model's layers after it was built: frozen, other rates, other activations.

A model of this package is saved by its constructor's arguments; what they do not tell is kept
beside them, layer by layer, as the difference between two configurations.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

ATTRIBUTES = {"dtype": "dtype_policy"}
"""Entries of a layer's configuration that are attributes under another name."""
STATE = ("built", "trainable")
"""Attributes that are no setting, or are told by the configuration."""

Changes = dict[str, dict[str, Any]]


class Built(NamedTuple):
    """A layer as its model's constructor made it.

    Attributes:
        config: Its configuration, plain values; None where it has sublayers or cannot tell.
        shapes: Shapes of its own weights.
        plain: Its public attributes that are plain values.
    """

    config: dict[str, Any] | None
    shapes: list[tuple[int, ...]]
    plain: dict[str, Any]


def as_built(model: keras.Model) -> dict[str, Built]:
    """Every layer as it is now, by its path (`"body/conv1"` in a layer of layers)."""
    return {path: _built(layer) for path, layer, _ in _walk(model)}


def changes_since(model: keras.Model, built: dict[str, Built]) -> Changes:
    """What differs from `built`, and which layers are frozen otherwise than what they lie in.

    Args:
        model: The model.
        built: `as_built(model)` when its constructor had ended.

    Returns:
        Path as it was then -> changed entries of the layer's configuration, plain values.

    Raises:
        ValueError: If something was changed that the configurations do not tell.
    """
    found: Changes = {}
    layers = list(_walk(model))
    if len(layers) != len(built):
        raise _cannot_store(model.name, "layers", model)
    for (path, before), (_, layer, parent) in zip(built.items(), layers, strict=True):
        changed = _changed(layer, before, model)
        if layer.trainable != parent.trainable:
            changed["trainable"] = layer.trainable
        if changed:
            found[path] = changed
    return found


def restore(model: keras.Model, changes: Changes) -> None:
    """Makes the changes again in a model that was just built.

    Raises:
        ValueError: If the model has no such layer.
    """
    layers = [(path, layer) for path, layer, _ in _walk(model)]
    missing = sorted(set(changes) - {path for path, _ in layers})
    if missing:
        raise ValueError(
            f"the stored model changes layers that {model.name!r} does not have; save it again. "
            f"Received: {', '.join(missing[:8])} ({len(missing)} in all)"
        )
    for path, layer in layers:
        _apply(layer, changes.get(path, {}))


def _walk(parent: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, layer and what it lies in, parents before their layers."""
    for layer in parent._flatten_layers(include_self=False, recursive=False):
        path = f"{prefix}{layer.name}"
        yield path, layer, parent
        yield from _walk(layer, f"{path}/")


def _built(layer: Any) -> Built:
    shapes = [tuple(weight.shape) for weight in layer.weights]
    if layer._layers:
        return Built(None, shapes, {})
    try:
        with warnings.catch_warnings():  # of functions without a name; saving says it
            warnings.simplefilter("ignore")
            config = layer.get_config()
    except NotImplementedError:  # a layer of the user's own, without a configuration
        return Built(None, shapes, {})
    kept = {key: value for key, value in config.items() if key != "trainable"}
    plain = json.loads(json.dumps(kept, default=_plain), object_hook=_unshared)
    return Built(plain, shapes, _plain_attributes(layer))


def _unshared(part: dict[str, Any]) -> dict[str, Any]:
    """Without the number that Keras gives an object while it saves a model."""
    return {key: value for key, value in part.items() if key != "shared_object_id"}


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's; anything else by its look, which no layer is made of."""
    return value.item() if isinstance(value, np.generic) else {"cannot be stored": repr(value)}


def _plain_attributes(layer: Any) -> dict[str, Any]:
    """Settings among the attributes, and methods that were put over those of the class."""
    kinds = (bool, int, float, str, type(None))
    return {
        name: value
        for name, value in vars(layer).items()
        if not name.startswith("_")
        and name not in STATE
        and (
            isinstance(value, kinds)
            or (callable(value) and callable(getattr(type(layer), name, None)))
        )
    }


def _changed(layer: Any, before: Built, model: keras.Model) -> dict[str, Any]:
    """Changed entries of the configuration but `trainable`; raises where they are not all."""
    now = _built(layer)
    if now.shapes != before.shapes:
        raise _cannot_store(layer.name, "weights", model)
    if before.config is None or now.config is None:
        return {}
    changed = {k: v for k, v in now.config.items() if before.config.get(k, _plain) != v}
    for name in now.plain:
        known = name in before.plain or hasattr(type(layer), name)
        if known and name not in now.config and now.plain[name] != before.plain.get(name, _plain):
            raise _cannot_store(layer.name, name, model)
    if not changed:
        return {}
    twin = type(layer).from_config(before.config)
    for name in changed:
        try:
            _apply(twin, {name: changed[name]})
            stored = _built(twin).config[name]  # type: ignore[index]
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise _cannot_store(layer.name, name, model) from error
        if stored != changed[name]:
            raise _cannot_store(layer.name, name, model)
    return changed


def _apply(layer: Any, changed: dict[str, Any]) -> None:
    """Sets what a layer of the changed configuration would have."""
    own = {name: value for name, value in changed.items() if name != "trainable"}
    if own:
        twin = type(layer).from_config({**layer.get_config(), **own})
        for name in own:
            attribute = ATTRIBUTES.get(name, name)
            setattr(layer, attribute, getattr(twin, attribute))
    if "trainable" in changed:
        layer.trainable = changed["trainable"]


def _cannot_store(layer: str, attribute: str, model: keras.Model) -> ValueError:
    return ValueError(
        f"layer {layer!r} of {model.name!r} was changed by hand in a way that cannot be stored "
        "with the model's arguments; save keras.Model(model.input, model.output) instead. "
        f"Received: a changed {attribute}"
    )
