"""Parameters of a job, defined once for the API, the worker and the documentation."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

Color: TypeAlias = Literal["keep", "free", "original"]
Format: TypeAlias = Literal["png", "jpeg", "webp", "png16"]
Detail: TypeAlias = Literal["blend", "carry"]
Normalize: TypeAlias = Literal["std", "mean"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


ModelName = Annotated[str, Field(max_length=100, description="The network, as `GET /v1/models` lists it.")]
LayerName = Annotated[str, Field(max_length=100, description="Layer name, as `GET /v1/models/{name}/layers` lists it.")]
MAX_CHANNELS = 4096  # of a target: more than any layer of our networks has
MAX_DRAWN = 256  # feature maps: each is an image
MAX_TARGETS = 16


def _unique(channels: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(channels)) < len(channels):
        twice = next(channel for index, channel in enumerate(channels) if channel in channels[:index])
        raise ValueError(f"channel {twice} is listed twice; give `weight` to strengthen a target")
    return channels


_ChannelNumbers = tuple[Annotated[int, Field(ge=0)], ...]
_UNIQUE_ITEMS = {"uniqueItems": True}
# fail_fast: a long list of wrong numbers costs no more than one of them.
_TargetChannels = Annotated[
    _ChannelNumbers,
    Field(min_length=1, max_length=MAX_CHANNELS, fail_fast=True, json_schema_extra=_UNIQUE_ITEMS),
    AfterValidator(_unique),
]
_DrawnChannels = Annotated[
    _ChannelNumbers,
    Field(min_length=1, max_length=MAX_DRAWN, fail_fast=True, json_schema_extra=_UNIQUE_ITEMS),
    AfterValidator(_unique),
]
DEFAULT_MODEL = "efficientnet-lite0"


class Target(Frozen):
    """A layer of the network, all or some of its channels, and its weight."""

    layer: LayerName
    channels: Annotated[_TargetChannels | None, Field(description="Channel numbers; null means all of them.")] = None
    weight: Annotated[
        float, Field(ge=-1000, le=1000, description="Weight of this target; a negative weight suppresses it.")
    ] = 1.0


class DreamParams(Frozen):
    """Parameters of a dream. Defaults and meanings follow Mordvintsev et al. 2015 and later notebooks."""

    model: ModelName = DEFAULT_MODEL
    layers: Annotated[
        Annotated[tuple[Target, ...], Field(fail_fast=True)] | None,
        Field(
            min_length=1,
            max_length=MAX_TARGETS,
            description="The layers to amplify; null means the network's default layer.",
        ),
    ] = None
    octaves: Annotated[
        int,
        Field(
            ge=1, le=16, description="How many sizes of the picture are processed, small to large; 1 is a single scale."
        ),
    ] = 5
    octave_scale: Annotated[
        float, Field(ge=0.1, lt=1, description="Size of each octave relative to the next larger one.")
    ] = 0.7
    blend: Annotated[
        float, Field(ge=0, le=1, description="Share of the photograph blended back in at each octave; 0 none, 1 all.")
    ] = 0.2
    detail: Annotated[
        Detail,
        Field(
            description="How an octave continues the one below: `blend` mixes the photograph into the enlarged dream; "
            "`carry`, as in 2015, adds to the photograph what was dreamed so far, so that it stays recognizable."
        ),
    ] = "blend"
    iterations: Annotated[int, Field(ge=1, le=1000, description="Ascent steps per octave; more go deeper.")] = 10
    step_size: Annotated[float, Field(gt=0, le=100, description="Size of each ascent step, in gray levels.")] = 3.0
    normalize: Annotated[
        Normalize,
        Field(
            description="What a step is measured by: `std`, the gradient's spread, in each tile and in the whole, so "
            "that every part of the picture dreams; `mean`, as in 2015, its mean size in the whole picture."
        ),
    ] = "std"
    smooth: Annotated[
        bool,
        Field(
            description="Blurs the gradient, less at first and more in later iterations: soft and painterly. Without "
            "it, as in 2015, the dream is sharp, fine and full of color."
        ),
    ] = True
    color: Annotated[
        Color,
        Field(
            description="`keep` stays near the photograph's colors; `free` turns pastel and psychedelic; `original` "
            "takes lightness from the dream and colors from the photograph."
        ),
    ] = "keep"
    brightness_lock: Annotated[
        bool, Field(description="After each octave, restores the photograph's large-scale brightness.")
    ] = False
    strength: Annotated[
        float, Field(gt=0, le=1, description="Mix of photograph and dream: near 0 is the photograph, 1 is the dream.")
    ] = 1.0
    jitter: Annotated[
        int | None,
        Field(ge=0, le=512, description="Largest random shift per iteration, pixels; null uses the layer's stride."),
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**63, description="The same seed and parameters give the same picture.")] = 0
    tile_size: Annotated[
        int | None,
        Field(
            ge=128,
            le=4096,
            description="Tile edge, pixels; null lets the worker choose one for its device, once per job.",
        ),
    ] = None

    scale: Annotated[float | None, Field(gt=0, le=16, description="Resizes the photograph by this factor first.")] = (
        None
    )
    long_side: Annotated[
        int | None, Field(ge=64, le=100_000, description="Resizes the photograph to this longer side first, pixels.")
    ] = None
    format: Annotated[
        Format, Field(description="Format of the result; `png16` has 16 bits per channel, for print.")
    ] = "png"
    keep_gradients: Annotated[
        bool, Field(description="Keeps a picture of the smoothed gradient of each octave with the job.")
    ] = False

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the (height, width) at which a photograph of that size is processed."""
        scale = self.long_side / max(height, width) if self.long_side else self.scale or 1.0
        return max(1, round(height * scale)), max(1, round(width * scale))

    @model_validator(mode="after")
    def _refuse_two_sizes(self) -> Self:
        if self.scale is not None and self.long_side is not None:
            raise ValueError("`scale` and `long_side` both set the size of the dream; send only one of them")
        return self

    @field_validator("octave_scale", mode="before")
    @classmethod
    def _suggest_the_inverse(cls, value: object) -> object:
        # Half of the existing tools mean the factor upward (1.4), the other half downward (0.7).
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 10:
            raise ValueError(f"must be below 1: did you mean {1 / value:.3g} (1/{value:g})?")
        return value


class FeatureMapsParams(Frozen):
    """Parameters of feature maps: a layer's activations, channel by channel, drawn in a grid."""

    model: ModelName = DEFAULT_MODEL
    layer: Annotated[LayerName | None, Field(description="Null means the network's default layer.")] = None
    channels: Annotated[_DrawnChannels | None, Field(description="Channel numbers; null means the strongest ones.")] = (
        None
    )
    count: Annotated[int, Field(ge=1, le=MAX_DRAWN, description="How many of the strongest channels are drawn.")] = 36


# Serialized with all fields, the two cannot be confused: each refuses the other's fields.
Params: TypeAlias = DreamParams | FeatureMapsParams
