"""Responses about networks, layers and presets."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import View
from shared.networks.catalog import Model
from shared.networks.presets import Preset


class LayerView(View):
    name: str
    channels: int
    stride: Annotated[int, Field(description="Input pixels per cell of the layer's grid.")]


class ModelView(View):
    """A network."""

    name: str
    title: str
    license: str
    source: str
    size_bytes: int
    default_layer: str
    minimum_px: Annotated[int, Field(description="Octaves with a side shorter than this are skipped.")]
    ready: Annotated[bool | None, Field(description="Whether a live worker serves it; null if unknown.")]
    needs: Annotated[
        Literal["download", "worker"] | None, Field(description="What it lacks if not ready: its weights, or a worker.")
    ]
    layers_url: str

    @classmethod
    def of(cls, model: Model, served: frozenset[str] | None) -> "ModelView":
        """Builds the view. served: the models that live workers serve; None if unknown."""
        ready = None if served is None else model.name in served
        needs: Literal["download", "worker"] = "download" if model.urls and served else "worker"
        return cls(
            ready=ready,
            needs=needs if ready is False else None,
            name=model.name,
            title=model.title,
            license=model.license,
            source=model.source,
            size_bytes=model.size_bytes,
            default_layer=model.default_layer,
            minimum_px=model.minimum_px,
            layers_url=f"/v1/models/{model.name}/layers",
        )


class ModelList(View):
    models: tuple[ModelView, ...]


class LayerList(View):
    model: str
    default_layer: str
    layers: tuple[LayerView, ...]

    @classmethod
    def of(cls, model: Model) -> "LayerList":
        layers = (LayerView(name=layer.name, channels=layer.channels, stride=layer.stride) for layer in model.layers)
        return cls(model=model.name, default_layer=model.default_layer, layers=tuple(layers))


class PresetView(View):
    """A named set of parameters."""

    name: str
    title: str
    sentence: str
    kind: Annotated[
        Literal["look", "classic"], Field(description="`look`: one of this project; `classic`: a published recipe.")
    ]
    source: Annotated[str | None, Field(description="Source of a classic recipe.")]
    verified: Annotated[bool, Field(description="Whether this project has verified its effect; false: by report.")]
    model: str
    thumbnail: Annotated[str | None, Field(description="Path of an example image among the page's files.")]
    params: Annotated[dict[str, Any], Field(description="Parameters to submit as a job's `params`.")]

    @classmethod
    def of(cls, preset: Preset) -> "PresetView":
        return cls(
            name=preset.name,
            title=preset.title,
            sentence=preset.sentence,
            kind=preset.kind,
            source=preset.source,
            verified=preset.verified,
            model=preset.params["model"],
            thumbnail=f"looks/{preset.name}.webp" if preset.verified else None,
            params=dict(preset.params),
        )


class PresetList(View):
    presets: tuple[PresetView, ...]
