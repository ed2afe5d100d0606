"""Responses about networks, layers and presets."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import View
from shared.interfaces import WeightsFetch
from shared.jobs.fleet import Availability, Fleet
from shared.networks.catalog import Model
from shared.networks.looks.preset import Preset


class LayerView(View):
    name: str
    channels: int
    stride: Annotated[int, Field(description="Input pixels per cell of the layer's grid.")]


AVAILABILITY = (
    "`ready`: a live worker serves the network. `fetchable`: a live worker will fetch its weights when asked. "
    "`unavailable`: no live worker can do either. Null if unknown, because Redis is unavailable."
)


class FetchView(View):
    """How far the fastest worker is with fetching a network's weights, or why it failed."""

    fetched_bytes: int
    total_bytes: Annotated[int | None, Field(description="Null where the server of the weights does not say it.")]
    error: Annotated[str | None, Field(description="Why the last fetch failed; null while one is in progress.")]

    @classmethod
    def of(cls, fetch: WeightsFetch) -> "FetchView":
        return cls(fetched_bytes=fetch.fetched_bytes, total_bytes=fetch.total_bytes, error=fetch.error)


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
    availability: Annotated[Availability | None, Field(description=AVAILABILITY)] = None
    fetched_on_demand: Annotated[
        bool, Field(description="Whether a waiting job is enough for a worker to fetch the weights.")
    ] = False
    fetch: Annotated[
        FetchView | None, Field(description="Null unless the weights are being fetched or that failed.")
    ] = None
    layers_url: str

    @classmethod
    def of(cls, model: Model, fleet: Fleet | None) -> "ModelView":
        """Builds the view. fleet: the live workers; None if unknown."""
        ready = None if fleet is None else model.name in fleet.served
        fetch = fleet.fetch_of(model.name) if fleet and not ready else None
        needs: Literal["download", "worker"] = "download" if model.urls and fleet and fleet.workers else "worker"
        return cls(
            availability=fleet.availability(model.name) if fleet else None,
            fetched_on_demand=fleet is not None and model.name in fleet.fetched_on_demand,
            fetch=FetchView.of(fetch) if fetch else None,
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
    may_fetch: Annotated[
        bool, Field(description="Whether this client may have weights fetched: `POST /v1/models/{name}/fetch`.")
    ] = False


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
    availability: Annotated[Availability | None, Field(description=AVAILABILITY)] = None
    thumbnail: Annotated[str | None, Field(description="Path of an example image among the page's files.")]
    params: Annotated[dict[str, Any], Field(description="Parameters to submit as a job's `params`.")]

    @classmethod
    def of(cls, preset: Preset, fleet: Fleet | None) -> "PresetView":
        """Builds the view. fleet: the live workers; None if unknown."""
        return cls(
            availability=fleet.availability(preset.params["model"]) if fleet else None,
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
