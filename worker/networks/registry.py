"""Loads a network of the catalog by name, from weights that have their known checksum."""

import importlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from shared.errors import DreamError, ModelUnavailable
from shared.networks import catalog
from shared.networks.model import Model
from worker.networks.checksum import checked

if TYPE_CHECKING:
    from worker.dream.network import Network  # TensorFlow, which fetching weights does not need


class Loader(Protocol):
    """What a module of worker.networks that loads networks offers."""

    def load(self, path: Path, model: Model) -> "Network":
        """Raises ModelUnavailable (retryable) or ModelCorrupt."""


def load(name: str, model_dir: Path) -> "Network":
    """The network of that name. Each call loads it anew: keep it.

    model_dir: where fetched weights lie; a network whose weights come with a package needs none there.
    Raises ModelUnavailable (retryable: weights can be fetched) or ModelCorrupt.
    """
    model = known(name)
    path = checked(weights_path(model, model_dir), model.sha256)
    try:
        loader = cast(Loader, importlib.import_module(f"worker.networks.{model.loader}"))
    except ImportError as exc:
        raise ModelUnavailable(f"this worker can't load {model.title}: {exc}") from exc
    return loader.load(path, model)


def is_ready(name: str, model_dir: Path) -> bool:
    """Whether the weights are here and have their checksum, which is computed once per file."""
    try:
        model = known(name)
        path = weights_path(model, model_dir)
        about = path.stat()
        return _is_whole(path, model.sha256, about.st_mtime_ns, about.st_size)
    except (DreamError, OSError):
        return False


def known(name: str) -> Model:
    """The catalog's entry. Raises ModelUnavailable."""
    if name not in catalog.MODELS:
        raise ModelUnavailable(f"this worker has no network named '{name}'")
    return catalog.MODELS[name]


def weights_path(model: Model, model_dir: Path) -> Path:
    """Where the weights are looked for. Raises ModelUnavailable when their package is not installed."""
    if model.package is None:
        return model_dir / model.name / model.file
    spec = importlib.util.find_spec(model.package)  # found without running the package's code
    if spec is None or spec.origin is None:
        raise ModelUnavailable(f"the package {model.package} is not installed")
    return Path(spec.origin).parent / model.file


@lru_cache(maxsize=64)
def _is_whole(path: Path, sha256: str | None, _modified_ns: int, _size_bytes: int) -> bool:
    try:
        checked(path, sha256)
    except DreamError:
        return False
    return True
