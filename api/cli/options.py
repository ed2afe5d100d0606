"""Adds options to commands: `--json` to each of them, and one for each parameter of a dream."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, get_args

import typer
from pydantic.fields import FieldInfo

from api.cli.connection import Target as ServerTarget
from shared.params import MAX_CHANNELS, DreamParams, Target

# Help for parameters whose description speaks of HTTP or JSON.
COMMAND_WORDS = {
    "model": "The network; `dream models` lists them.",
    "layer": "A layer to amplify; `dream models NAME` lists them.",
    "channels": "Channel numbers such as 4,9 or 4-9, or `all`.",
    "jitter": "Largest random shift per iteration, pixels. Default: the layer's stride.",
    "tile_size": "Tile edge, pixels. Default: the worker chooses one for its device.",
}

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON per record.")]


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a command that takes `--json` also after its name."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        option = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)

        def receive(context: typer.Context, given: Mapping[str, Any]) -> dict[str, Any]:
            use_json(context, as_json=given["as_json"])
            return {}

        return app.command(name)(_extended(function, [option], receive))

    return register


def use_json(context: typer.Context, *, as_json: bool) -> None:
    target: ServerTarget = context.obj
    target.json = target.json or as_json


def dream_options(function: Callable[..., None]) -> Callable[..., None]:
    """Gives the command an option for each parameter of a dream, and passes those that are given as `given`.

    The parameter `layers` has an option for each of a target's fields; they are passed as `targets`.
    """
    layers = [_option(name, field, repeated=True) for name, field in Target.model_fields.items()]
    others = [_option(name, field) for name, field in DreamParams.model_fields.items() if name != "layers"]

    def receive(_: typer.Context, given: Mapping[str, Any]) -> dict[str, Any]:
        present = {name: value for name, value in given.items() if value is not None}
        targets = {name: present.pop(name, []) for name in Target.model_fields}
        return {"given": present, "targets": targets}

    return _extended(function, [*layers, *others], receive)


def with_targets(layers: list[dict[str, Any]], targets: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Returns the layers with the channels and weights of the options: the first option is for the first layer."""
    changed = [dict(layer) for layer in layers]
    for name in ("channels", "weight"):
        values = targets[name]
        if len(values) > len(changed):
            count = f"{len(changed)} layer{'s' if len(changed) > 1 else ''}"
            raise typer.BadParameter(f"--{name} is given {len(values)} times for {count}.")
        for layer, value in zip(changed, values, strict=False):
            layer[name] = _channels(value) if name == "channels" else value
    return changed


def _channels(text: str) -> list[int] | None:
    if text == "all":
        return None
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise _bad_channels(text)
    channels: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        count = int(last or first) - int(first) + 1
        if not 1 <= count <= MAX_CHANNELS:
            raise _bad_channels(text)
        channels.extend(range(int(first), int(first) + count))
    return channels


def _bad_channels(text: str) -> typer.BadParameter:
    return typer.BadParameter(f"--channels takes numbers such as 4,9 or 4-9, or `all`; not '{text}'.")


def _option(name: str, field: FieldInfo, *, repeated: bool = False) -> inspect.Parameter:
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    kind: Any = kinds[0] if NoneType in get_args(field.annotation) and len(kinds) == 1 else field.annotation
    explained = COMMAND_WORDS.get(name, field.description or "")
    if repeated:
        kind = list[float] if kind is float else list[str]
        explained += " Once per layer."
    elif not field.is_required() and field.default is not None:
        explained += f" Default: {str(field.default).lower() if isinstance(field.default, bool) else field.default}."
    option = typer.Option(help=explained, rich_help_panel="Parameters of the dream")
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _extended(
    function: Callable[..., None],
    options: list[inspect.Parameter],
    receive: Callable[[typer.Context, Mapping[str, Any]], dict[str, Any]],
) -> Callable[..., None]:
    """Returns the function with further options for typer; what `receive` returns replaces them in the call."""
    own = inspect.signature(function).parameters

    @functools.wraps(function)
    def extended(context: typer.Context, **arguments: Any) -> None:  # noqa: ANN401 - any option's value
        given = {option.name: arguments.pop(option.name) for option in options}
        function(context, **arguments, **receive(context, given))

    shown = [parameter for parameter in own.values() if parameter.name not in {"given", "targets"}]
    extended.__signature__ = inspect.Signature([*shown, *options])  # type: ignore[attr-defined]
    return extended
