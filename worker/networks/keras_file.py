"""Loads the user's own Keras model (.keras or .h5): its trunk, up to the last layer with spatial output."""

from pathlib import Path
from typing import Any

import keras

from shared.errors import ModelCorrupt
from shared.networks.model import Model
from worker.dream.network import Network
from worker.networks.keras_network import network_of


def load(path: Path, model: Model) -> Network:
    """Loads the network. Raises ModelCorrupt if the file is not a Keras model or can't take images of any size."""
    return network_of(read_trunk(path), path, model)


def read_trunk(path: Path) -> Any:  # noqa: ANN401 - Keras ships no types
    """Returns the model without its head, with an input of any size. Refuses code in the file (lambda layers)."""
    try:
        whole = keras.models.load_model(path, compile=False, safe_mode=True)
        spatial = [layer for layer in whole.layers if len(getattr(layer.output, "shape", ())) == 4]
        trunk = keras.Model(whole.inputs[0], spatial[-1].output)
        free = keras.models.clone_model(trunk, input_tensors=keras.Input((None, None, 3)))
        free.set_weights(trunk.get_weights())
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as exc:
        raise ModelCorrupt(f"{path.name} is not a Keras model that can dream: {exc}") from exc
    return free
