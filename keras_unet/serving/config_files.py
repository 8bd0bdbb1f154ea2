"""What to serve: a folder of versions, a folder of models, or a `model.config` file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keras_unet.serving.models import ModelConfig, version_folders


def find_models(path: Path, name: str | None = None) -> Callable[[], list[ModelConfig]]:
    """A function that lists the models of a path each time it is called.

    Args:
        path: Folder of versions (`PATH/1/saved_model.pb`), folder of such folders, or a
            `model.config` file.
        name: Name of the model, for a folder of versions. Defaults to None, the folder's name.

    Raises:
        ValueError: If there is nothing to serve.
    """
    path = path.resolve()
    if path.is_file():
        read_model_config(path)
        return lambda: read_model_config(path)
    if version_folders(path):
        return lambda: [ModelConfig(name or path.name, path)]
    if not _many(path):
        raise ValueError(
            "serve needs a folder of versions (1/saved_model.pb, ...), a folder of such folders, a "
            "model.config file or a run folder; `keras-unet export RUN --out models/NAME` writes "
            f"one. Received: {path}"
        )
    return lambda: _many(path)


def _many(path: Path) -> list[ModelConfig]:
    if not path.is_dir():
        return []
    bases = [entry for entry in sorted(path.iterdir()) if entry.is_dir()]
    return [ModelConfig(base.name, base) for base in bases if version_folders(base)]


def read_model_config(file: Path) -> list[ModelConfig]:
    """The models of a `model.config` file (text format of `ModelServerConfig`).

    Relative base paths, which TensorFlow Serving refuses, are taken from the file's folder.

    Args:
        file: The file.

    Raises:
        ValueError: If the file cannot be read as such, or names a model twice.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(file.read_text(encoding="utf-8"), config)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no model.config file: {error}") from None
    models = []
    for one in config.model_config_list.config:
        policy = one.model_version_policy
        if one.model_platform not in ("tensorflow", ""):
            raise ValueError(
                f"{file}: model_platform must be 'tensorflow'. Received: {one.model_platform!r}"
            )
        if not one.name or not one.base_path:
            raise ValueError(f"{file}: every model needs a name and a base_path. Received: {one}")
        models.append(
            ModelConfig(
                one.name,
                file.parent / one.base_path,
                latest=max(1, policy.latest.num_versions),
                versions=tuple(policy.specific.versions),
                all_versions=policy.HasField("all"),
                labels=dict(one.version_labels),
            )
        )
    names = [model.name for model in models]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{file}: needs models with different names. Received: {names}")
    return models
