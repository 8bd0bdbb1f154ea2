"""The models of a server: versions that come and go, labels, and who answers a request."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keras_unet.serving.contract import ServingError, invalid
from keras_unet.serving.loading import LoadedModel
from keras_unet.serving.memory import release_memory

log = logging.getLogger("keras_unet.serving")
START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"


@dataclass(frozen=True)
class ModelConfig:
    """What to serve under a name.

    Attributes:
        name: The model's name in requests.
        base_path: Folder of its versions.
        latest: Number of the newest versions that are served.
        versions: These versions instead; `()` for none given.
        all_versions: All versions instead.
        labels: Version by label.
    """

    name: str
    base_path: Path
    latest: int = 1
    versions: tuple[int, ...] = ()
    all_versions: bool = False
    labels: Mapping[str, int] = field(default_factory=dict)

    def aspired(self) -> list[int]:
        """Versions in the folder that should be served, ascending."""
        found = sorted(version_folders(self.base_path))
        if self.all_versions:
            return found
        if self.versions:
            return [version for version in found if version in self.versions]
        return found[-self.latest :]


@dataclass
class Version:
    """State of one version, as `GetModelStatus` tells it."""

    number: int
    state: str = START
    error_code: str = "OK"
    error_message: str = ""
    model: LoadedModel | None = None
    stamp: tuple[int, ...] = ()


def version_folders(base: Path) -> dict[int, Path]:
    """Folders of versions by number: plain integers that hold a SavedModel file."""
    try:
        entries = sorted(base.iterdir())
    except OSError:
        return {}
    return {
        int(entry.name): entry
        for entry in entries
        if entry.name.isascii() and entry.name.isdecimal() and entry.is_dir()
    }


class ServedModel:
    """The versions of one model.

    A new version is loaded and warmed up beside the one that serves, which goes only when an
    aspired version is available: a swap fails no request, and a damaged version replaces nothing.
    """

    def __init__(self, config: ModelConfig, load: Callable[[Path], LoadedModel]) -> None:
        self.config = config
        self._load = load
        self._lock = threading.Lock()
        self._versions: dict[int, Version] = {}
        self._unloaded = False

    def refresh(self) -> None:
        """Loads what is new and drops what is no longer wanted; for one thread at a time."""
        if self._unloaded:  # one look ago, so that the last requests have ended
            self._unloaded = False
            release_memory()
        folders = version_folders(self.config.base_path)
        aspired = self.config.aspired()
        for number in aspired:
            self._ensure(number, folders[number])
        with self._lock:
            available = {n for n, v in self._versions.items() if v.state == AVAILABLE}
            if not available & set(aspired):
                return
            for number in sorted(available - set(aspired)):
                version = self._versions[number]
                version.state, version.model = END, None
                self._unloaded = True
                log.info("unloaded", extra={"model": self.config.name, "version": number})

    def _ensure(self, number: int, folder: Path) -> None:
        stamp = _stamp(folder)
        with self._lock:
            known = self._versions.get(number)
            failed = known is not None and known.error_code != "OK" and known.stamp == stamp
            if failed or (known is not None and known.state == AVAILABLE):
                return  # failed and not changed since, or serving
            version = self._versions[number] = Version(number, LOADING, stamp=stamp)
        about = {"model": self.config.name, "version": number}
        try:
            model = self._load(folder)
            count = model.warm_up()
        except ServingError as error:
            with self._lock:
                version.state = END
                version.error_code, version.error_message = error.code, error.message
            log.error("load failed", extra={**about, "error": str(error)[:500]})
            return
        with self._lock:
            version.model, version.state = model, AVAILABLE
        log.info("available", extra={**about, "warm_up_requests": count})

    def resolve(
        self, version: int | None = None, label: str | None = None
    ) -> tuple[int, LoadedModel]:
        """The version that answers.

        Raises:
            ServingError: If there is none.
        """
        name, version = self.config.name, self._number(version, label)
        with self._lock:
            ready = {n: v.model for n, v in self._versions.items() if v.state == AVAILABLE}
        number = max(ready, default=None) if version is None else version
        model = ready.get(number) if number is not None else None
        if number is None or model is None:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServingError("NOT_FOUND", f"Servable not found for request: {asked}")
        return number, model

    def _number(self, version: int | None, label: str | None) -> int | None:
        """The version that is asked for, by its number or its label."""
        if label is None:
            return version
        if label not in self.config.labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return self.config.labels[label]

    def status(self, version: int | None = None, label: str | None = None) -> list[Version]:
        """States of all versions, newest first, or of one.

        Raises:
            ServingError: NOT_FOUND, if there is none.
        """
        name, version = self.config.name, self._number(version, label)
        with self._lock:
            found = sorted(self._versions.values(), key=lambda one: -one.number)
        if version is None:
            if not found:
                raise ServingError("NOT_FOUND", f"Could not find any versions of model {name}")
            return found
        one = [known for known in found if known.number == version]
        if not one:
            raise ServingError("NOT_FOUND", f"Could not find version {version} of model {name}")
        return one


def _stamp(folder: Path) -> tuple[int, ...]:
    """Changes when the version's file does."""
    try:
        about = (folder / "saved_model.pb").stat()
    except OSError:
        return ()
    return about.st_mtime_ns, about.st_size


class ModelStore:
    """All models of a server, watched by a thread.

    Args:
        configs: Gives the models to serve; asked again at every look, so that a changed file
            counts.
        poll_seconds: Time between two looks at the folders.
        load: How a version is loaded.
    """

    def __init__(
        self,
        configs: Callable[[], list[ModelConfig]],
        poll_seconds: float = 1.0,
        load: Callable[[Path], LoadedModel] = LoadedModel,
    ) -> None:
        self._configs = configs
        self._poll_seconds = poll_seconds
        self._load = load
        self._models: dict[str, ServedModel] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Loads everything once, then watches."""
        self.refresh()
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)
        self._thread.start()

    def close(self, seconds: float = 1.0) -> None:
        """Stops watching; a version that is being loaded is waited for so long."""
        self._stop.set()
        if self._thread:
            self._thread.join(seconds)

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            try:
                self.refresh()
            except Exception:  # the models in memory go on serving
                log.exception("refresh failed")

    def refresh(self) -> None:
        """Looks at the configuration and the folders."""
        models = dict(self._models)
        wanted = {config.name: config for config in self._configs()}
        for name in set(models) - set(wanted):
            del models[name]
        for name, config in wanted.items():
            if name in models and models[name].config.base_path == config.base_path:
                models[name].config = config
            else:
                models[name] = ServedModel(config, self._load)
        self._models = models
        for name in sorted(models):
            models[name].refresh()

    @property
    def names(self) -> list[str]:
        """Names of the models, sorted."""
        return sorted(self._models)

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        return bool(self._models) and all(self._is_ready(name) for name in self.names)

    def _is_ready(self, name: str) -> bool:
        try:
            self.resolve(name)
        except ServingError:
            return False
        return True

    def resolve(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> tuple[int, LoadedModel]:
        """Number and model that answer a request.

        Raises:
            ServingError: NOT_FOUND or INVALID_ARGUMENT, if there is none.
        """
        if name not in self._models:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServingError("NOT_FOUND", f"Servable not found for request: {asked}")
        return self._models[name].resolve(version, label)

    def status(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> list[Version]:
        """States of a model's versions.

        Raises:
            ServingError: NOT_FOUND or INVALID_ARGUMENT, if there is none.
        """
        if name not in self._models:
            what = "any versions" if version is None else f"version {version}"
            raise ServingError("NOT_FOUND", f"Could not find {what} of model {name}")
        return self._models[name].status(version, label)
