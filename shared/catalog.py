"""The networks by name, so that the api can check a request without TensorFlow."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from shared.errors import InvalidField, InvalidSettings
from shared.models import Layer, Model, built_in, read_models
from shared.params import DreamParams, Target

__all__ = ["MODELS", "Layer", "Model", "extend", "layer", "model", "resolve"]

MODELS: dict[str, Model] = {model.name: model for model in built_in()}
_BUILT_IN = frozenset(MODELS)


def extend(path: Path | None) -> None:
    """Adds the networks of the user's own catalog file (DREAM_CATALOG). Raises InvalidSettings.

    To be called as a process starts, the api's as well as the worker's.
    """
    for own in read_models(path) if path else ():
        if own.name in _BUILT_IN:
            raise InvalidSettings(f"the catalog file {path}: '{own.name}' is the name of a built-in network")
        MODELS[own.name] = own


def model(name: str, *, path: str = "model") -> Model:
    """The model of that name. Raises InvalidField with the nearest one."""
    if name not in MODELS:
        raise _unknown(f"model '{name[:100]}'", name, list(MODELS), path)
    return MODELS[name]


def layer(model: Model, name: str, *, path: str = "layer") -> Layer:
    """The network's layer of that name. Raises InvalidField with the nearest one."""
    for found in model.layers:
        if found.name == name:
            return found
    others = [other.name for other in MODELS.values() if any(known.name == name for known in other.layers)]
    theirs = f" (it is a layer of {others[0]}, but the model is {model.name})" if others else ""
    raise _unknown(f"layer '{name[:100]}'{theirs}", name, [known.name for known in model.layers], path)


def resolve(params: DreamParams, *, path: str = "") -> DreamParams:
    """The parameters with the network's defaults filled in and every name checked.

    Raises InvalidField with the path of the bad name and the nearest valid one.
    """
    network = model(params.model, path=f"{path}model")
    targets = params.layers or (Target(layer=network.default_layer),)
    strides = []
    for index, target in enumerate(targets):
        found = layer(network, target.layer, path=f"{path}layers.{index}.layer")
        strides.append(found.stride)
        beyond = [channel for channel in target.channels or () if channel >= found.channels]
        if beyond:
            raise InvalidField(
                f"layer '{found.name}' has channels 0 to {found.channels - 1}; there is no {beyond[0]}",
                path=f"{path}layers.{index}.channels",
                suggestion=str(found.channels - 1),
            )
    jitter = max(strides) if params.jitter is None else params.jitter
    return params.model_copy(update={"layers": targets, "jitter": jitter})


def _unknown(what: str, name: str, known: Sequence[str], path: str) -> InvalidField:
    # Names are compared case-folded: people type MobileNet and mobilenet.
    folded = {known_name.casefold(): known_name for known_name in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    suggestion = folded[near[0]] if near else None
    hint = f"; did you mean '{suggestion}'?" if suggestion else f"; known are {', '.join(known[:20])}"
    return InvalidField(f"unknown {what}{hint}", path=path, suggestion=suggestion)
