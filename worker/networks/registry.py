"""Loads the catalog's networks by name, from weights whose checksum is right."""

import importlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from shared.errors import DreamError, ModelUnavailable
from shared.networks import catalog
from shared.networks.model import Model
from worker.networks.weights.checksum import checked

if TYPE_CHECKING:
    from worker.dream.network import Network  # it imports TensorFlow, which fetching weights does not need


class Loader(Protocol):
    """The interface of a loader module in worker.networks."""

    def load(self, path: Path, model: Model) -> "Network":
        """Loads the network. Raises ModelUnavailable (retryable) or ModelCorrupt."""


def load(name: str, model_dir: Path) -> "Network":
    """Loads the network of that name. Each call loads it again, so callers keep the result.

    model_dir: the folder of fetched weights; not used for networks whose weights come with a package.
    Raises ModelUnavailable (retryable: weights can be fetched) or ModelCorrupt.
    """
    model = known(name)
    path = weights_path(model, model_dir)
    return load_file(checked(path, expected_checksum(model, path)), model)


def load_file(path: Path, model: Model) -> "Network":
    """Returns the network with the weights in that file, whatever its checksum.

    Raises ModelUnavailable or ModelCorrupt.
    """
    try:
        loader = cast(Loader, importlib.import_module(f"worker.networks.{model.loader}"))
    except ImportError as exc:
        raise ModelUnavailable(f"This worker can't load {model.title}: {exc}") from exc
    return loader.load(path, model)


def is_ready(name: str, model_dir: Path) -> bool:
    """Returns whether the weights are present with the right checksum, which is computed once per file."""
    try:
        model = known(name)
        path = weights_path(model, model_dir)
        about = path.stat()
        return _is_whole(path, expected_checksum(model, path), about.st_mtime_ns, about.st_size)
    except (DreamError, OSError):
        return False


def known(name: str) -> Model:
    """Returns the catalog's entry. Raises ModelUnavailable."""
    if name not in catalog.MODELS:
        raise ModelUnavailable(f"This worker has no network named '{name}'")
    return catalog.MODELS[name]


def weights_path(model: Model, model_dir: Path) -> Path:
    """Returns the path of the weights. Raises ModelUnavailable when their package is not installed."""
    if model.package is None:
        return model_dir / model.name / model.file
    spec = importlib.util.find_spec(model.package)  # found without running the package's code
    if spec is None or spec.origin is None:
        raise ModelUnavailable(f"The package {model.package} is not installed")
    return Path(spec.origin).parent / model.file


def accepted_path(path: Path) -> Path:
    """Returns where `fetch --sha256` writes the checksum of a file of the user's own, as `sha256sum` would."""
    return path.with_name(f"{path.name}.sha256")


def expected_checksum(model: Model, path: Path) -> str | None:
    """Returns the weights file's checksum as accepted by `fetch --sha256`, else the catalog's; None without either."""
    try:
        return f"sha256:{accepted_path(path).read_text().split()[0]}"
    except (OSError, IndexError, UnicodeDecodeError):
        return model.file_checksum


@lru_cache(maxsize=64)
def _is_whole(path: Path, checksum: str | None, _modified_ns: int, _size_bytes: int) -> bool:
    try:
        checked(path, checksum)
    except DreamError:
        return False
    return True
