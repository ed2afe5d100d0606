"""The networks by name; the API checks requests against it without TensorFlow."""

import difflib
import math
from collections.abc import Sequence
from pathlib import Path

from shared.errors import InvalidField, InvalidSettings
from shared.networks.looks.preset import Preset
from shared.networks.model import Layer, Model, built_in, read_models
from shared.networks.network_size import GUIDE_PX, GUIDE_SHORTEST_PX, MAPS_PX, check_whole_size, octave_sizes
from shared.networks.presets import PRESETS
from shared.params import DreamParams, FeatureMapsParams, Target

__all__ = [
    "LONGEST_SIDE",
    "MODELS",
    "Layer",
    "Model",
    "changed_since",
    "check_guide_size",
    "check_maps_size",
    "check_size",
    "check_work",
    "extend",
    "find_preset",
    "layer",
    "merge",
    "model",
    "resolve",
    "resolve_maps",
    "work",
]

LONGEST_SIDE = {"jpeg": 65_500, "webp": 16_383}  # pixels; limits of the formats
MAX_LISTED = 20  # names in a refusal

MODELS: dict[str, Model] = {model.name: model for model in built_in()}
_BUILT_IN = frozenset(MODELS)


def extend(path: Path | None) -> None:
    """Adds the networks of the user's catalog file (DREAM_CATALOG). Raises InvalidSettings.

    Every process of the API and the workers calls it at its start.
    """
    for own in read_models(path) if path else ():
        if own.name in _BUILT_IN:
            raise InvalidSettings(f"the catalog file {path}: '{own.name}' is the name of a built-in network")
        MODELS[own.name] = own


def model(name: str, *, path: str = "model") -> Model:
    """Returns the model of that name. Raises InvalidField, which suggests the nearest name."""
    if name not in MODELS:
        raise _unknown(f"model '{name[:100]}'", name, list(MODELS), path)
    return MODELS[name]


def layer(model: Model, name: str, *, path: str = "layer") -> Layer:
    """Returns the network's layer of that name. Raises InvalidField, which suggests the nearest name."""
    for found in model.layers:
        if found.name == name:
            return found
    others = [other.name for other in MODELS.values() if any(known.name == name for known in other.layers)]
    theirs = f" (it is a layer of {others[0]}, but the model is {model.name})" if others else ""
    raise _unknown(f"layer '{name[:100]}'{theirs}", name, [known.name for known in model.layers], path)


def resolve(params: DreamParams, *, path: str = "") -> DreamParams:
    """Fills in the network's defaults and checks every name.

    Raises InvalidField with the path of the bad name and the nearest valid one.
    """
    network = model(params.model, path=f"{path}model")
    targets = params.layers or (Target(layer=network.default_layer),)
    strides = []
    for index, target in enumerate(targets):
        found = layer(network, target.layer, path=f"{path}layers.{index}.layer")
        strides.append(found.stride)
        _check_channels(found, target.channels, path=f"{path}layers.{index}.channels")
    if all(target.weight == 0 for target in targets):
        raise InvalidField("every weight is 0; give at least one target another weight", path=f"{path}layers.0.weight")
    jitter = max(strides) if params.jitter is None else params.jitter
    return params.model_copy(update={"layers": targets, "jitter": jitter})


def find_preset(name: str, *, path: str = "") -> Preset:
    """Returns the preset. Raises InvalidField with the nearest name."""
    known = {preset.name: preset for preset in PRESETS}
    if name not in known:
        raise _unknown(f"preset '{name[:100]}'", name, tuple(known), path)
    return known[name]


def merge(preset: Preset, given: DreamParams) -> DreamParams:
    """Returns the preset's parameters, overridden by those that were given."""
    own = given.model_dump(include=given.model_fields_set)
    sizes = {"scale", "long_side"}
    dropped = sizes if sizes & own.keys() else set()  # a preset's scale does not contradict a long side that was given
    return DreamParams.model_validate({name: preset.params[name] for name in preset.params.keys() - dropped} | own)


def changed_since(preset: Preset, params: DreamParams) -> tuple[str, ...]:
    """Returns the names of the resolved parameters that differ from the preset's."""
    original = resolve(DreamParams.model_validate(preset.params))
    return tuple(name for name in DreamParams.model_fields if getattr(params, name) != getattr(original, name))


def resolve_maps(params: FeatureMapsParams, *, path: str = "") -> FeatureMapsParams:
    """Does the same for feature maps."""
    network = model(params.model, path=f"{path}model")
    found = layer(network, params.layer or network.default_layer, path=f"{path}layer")
    _check_channels(found, params.channels, path=f"{path}channels")
    return params.model_copy(update={"layer": found.name, "count": min(params.count, found.channels)})


def _check_channels(layer: Layer, channels: Sequence[int] | None, *, path: str) -> None:
    for index, channel in enumerate(channels or ()):
        if channel >= layer.channels:
            raise InvalidField(
                f"layer '{layer.name}' has channels 0 to {layer.channels - 1}; there is no {channel}",
                path=f"{path}.{index}",
                suggestion=str(layer.channels - 1),
            )


def check_maps_size(params: FeatureMapsParams, height: int, width: int, *, path: str) -> None:
    """Raises InvalidField if the network would have to see too many pixels of such an image."""
    check_whole_size(height, width, longest_px=MAPS_PX, minimum_px=model(params.model).minimum_px, path=path)


def check_guide_size(params: DreamParams, height: int, width: int, *, path: str) -> None:
    """Does the same for a guide."""
    minimum_px = max(model(params.model).minimum_px, GUIDE_SHORTEST_PX)
    check_whole_size(height, width, longest_px=GUIDE_PX, minimum_px=minimum_px, path=path)


def check_size(params: DreamParams, height: int, width: int, *, max_pixels: int, path: str = "") -> None:
    """Raises InvalidField if the dream of such a photograph would exceed the pixel limit or its format's sides."""
    tall, wide = params.size(height, width)
    if tall * wide > max_pixels:
        factor = math.sqrt(max_pixels / (height * width))
        field, most = ("long_side", int(factor * max(height, width))) if params.long_side else ("scale", factor)
        suggestion = str(most) if isinstance(most, int) else f"{math.floor(most * 100) / 100:g}"
        raise InvalidField(
            f"{wide} x {tall} pixels are more than the {max_pixels:,} that this service accepts; "
            f"for this photograph {field} can be {suggestion} at most",
            path=f"{path}{field}",
            suggestion=suggestion,
        )
    longest = LONGEST_SIDE.get(params.format)
    if longest is not None and max(tall, wide) > longest:
        raise InvalidField(
            f"a {params.format} image can't have a side of more than {longest} pixels",
            path=f"{path}format",
            suggestion="png",
        )


def work(params: DreamParams, height: int, width: int) -> int:
    """Returns the pixels x iterations of a dream of such a photograph, over all its octaves."""
    sizes = octave_sizes(
        *params.size(height, width),
        octaves=params.octaves,
        scale=params.octave_scale,
        minimum_px=model(params.model).minimum_px,
    )
    return params.iterations * sum(tall * wide for tall, wide in sizes)


def check_work(params: DreamParams, height: int, width: int, *, max_work: int, path: str = "") -> None:
    """Raises InvalidField for a dream that would keep a worker busy for too long."""
    needed = work(params, height, width)
    if needed > max_work:
        per_iteration = needed // params.iterations
        most = max_work // per_iteration
        hint = f"iterations can be {most} at most" if most else "make it smaller, or use fewer octaves"
        raise InvalidField(
            f"{params.iterations} iterations of {per_iteration:,} pixels in all octaves are {needed:,} pixels x "
            f"iterations, more than the {max_work:,} that this service accepts; {hint}",
            path=f"{path}iterations",
            suggestion=str(most) if most else None,
        )


def _unknown(what: str, name: str, known: Sequence[str], path: str) -> InvalidField:
    # Names are compared case-folded: people type MobileNet and mobilenet.
    folded = {known_name.casefold(): known_name for known_name in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    suggestion = folded[near[0]] if near else None
    hint = f"; did you mean '{suggestion}'?" if suggestion else f"; known are {_listed(known)}"
    return InvalidField(f"unknown {what}{hint}", path=path, suggestion=suggestion)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
