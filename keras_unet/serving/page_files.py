"""What the server's page consists of, and what it must know of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.serving.contract import ServingError

if TYPE_CHECKING:
    from keras_unet.serving.models import ModelStore

PAGE = Path(__file__).parent / "page"
BROWSER_ONLY = ("browser_engine.js",)
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def find(name: str) -> Path | None:
    """A file of the page; the empty name is its first one."""
    files = {file.name: file for file in PAGE.iterdir() if file.is_file()}
    return None if name in BROWSER_ONLY else files.get(name or "index.html")


def config(store: ModelStore) -> dict[str, Any]:
    """What the page must know: the first model that takes picture files, its classes and title.

    Raises:
        ServingError: NOT_FOUND, if no model takes picture files.
    """
    for name in store.names:
        try:
            _, model = store.resolve(name)
        except ServingError:
            continue
        if "segment_bytes" not in model.inputs:
            continue
        about = _metadata(model)
        target = about.get("target", {}).get("config", {})
        classes = about.get("class_names", [])
        return {
            "engine": "server",
            "model": name,
            "title": f"{name}: {', '.join(classes)}" if classes else name,
            "class_names": classes,
            "components": {
                key: target[key] for key in ("connectivity", "min_size") if key in target
            },
        }
    raise ServingError("NOT_FOUND", "no model with the signature segment_bytes is served")


def _metadata(model: Any) -> dict[str, Any]:
    if "metadata" not in model.inputs:
        return {}
    found = model.predict("metadata", {"query": np.array([b""], object)})
    return json.loads(found["metadata_json"][0])
