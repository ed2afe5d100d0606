"""Builds networks of `keras.applications` by class name and loads the weights files that Keras publishes."""

from pathlib import Path

import keras

from shared.errors import ModelCorrupt, ModelUnavailable
from shared.networks.model import Model
from worker.dream.network import Network
from worker.networks.keras_network import network_of


def load(path: Path, model: Model) -> Network:
    """Loads the network. Raises ModelUnavailable if Keras lacks the architecture, ModelCorrupt for other weights."""
    build = getattr(keras.applications, model.architecture or "", None)
    if not callable(build):
        raise ModelUnavailable(f"Keras {keras.__version__} has no architecture '{model.architecture}'")
    trunk = build(include_top=False, weights=None, input_shape=(None, None, 3))
    try:
        trunk.load_weights(path)
    except (OSError, ValueError, KeyError) as exc:
        raise ModelCorrupt(f"{path.name} does not hold the weights of {model.title}: {exc}") from exc
    return network_of(trunk, path, model)
