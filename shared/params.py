"""What a dream may ask for: the single definition, for the api, the worker and the documentation."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Color: TypeAlias = Literal["keep", "free", "original"]
Format: TypeAlias = Literal["png", "jpeg", "webp", "png16"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


ModelName = Annotated[str, Field(max_length=100, description="The network, as `GET /v1/models` lists it.")]
LayerName = Annotated[str, Field(max_length=100, description="Layer name, as `GET /v1/models/{name}/layers` lists it.")]
Channels = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...] | None, Field(min_length=1, max_length=4096, description="Chosen channels.")
]
DEFAULT_MODEL = "efficientnet-lite0"


class Target(Frozen):
    """A layer of the network, all of its channels or chosen ones, and how much it counts."""

    layer: LayerName
    channels: Annotated[Channels, Field(description="Chosen channels; null means all of them.")] = None
    weight: Annotated[
        float, Field(ge=-1000, le=1000, description="How much this target counts; negative pushes it away.")
    ] = 1.0


class DreamParams(Frozen):
    """One dream. Defaults and meanings follow Mordvintsev et al. 2015 and the notebooks after it."""

    model: ModelName = DEFAULT_MODEL
    layers: Annotated[
        tuple[Target, ...] | None,
        Field(
            min_length=1,
            max_length=16,
            description="What the dream sees more of: one or more layers; null means the network's default layer.",
        ),
    ] = None
    octaves: Annotated[
        int,
        Field(
            ge=1, le=16, description="How many sizes of the picture are dreamed, small to large; 1 is a plain dream."
        ),
    ] = 5
    octave_scale: Annotated[
        float, Field(ge=0.1, lt=1, description="The size of each octave relative to the next larger one.")
    ] = 0.7
    blend: Annotated[
        float, Field(ge=0, le=1, description="How much of the photograph returns at each octave; 0 none, 1 all.")
    ] = 0.2
    iterations: Annotated[int, Field(ge=1, le=1000, description="Ascent steps per octave; more dream deeper.")] = 10
    step_size: Annotated[float, Field(gt=0, le=100, description="How far each ascent step goes, in gray levels.")] = 3.0
    color: Annotated[
        Color,
        Field(
            description="`keep` stays near the photograph's colors; `free` turns pastel and psychedelic; `original` "
            "takes the light from the dream and the colors from the photograph."
        ),
    ] = "keep"
    brightness_lock: Annotated[
        bool, Field(description="After each octave, gives the dream the photograph's large-scale light back.")
    ] = False
    strength: Annotated[float, Field(gt=0, le=1, description="From the photograph, near 0, to the whole dream, 1.")] = (
        1.0
    )
    jitter: Annotated[
        int | None,
        Field(ge=0, le=512, description="Largest random shift per iteration, pixels; null is the layer's stride."),
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**63, description="The same seed and parameters give the same picture.")] = 0
    tile_size: Annotated[
        int | None,
        Field(ge=128, le=4096, description="Tile edge, pixels; null lets the worker choose for its device, once."),
    ] = None

    scale: Annotated[
        float | None, Field(gt=0, le=16, description="Resizes the photograph by this factor before it is dreamed.")
    ] = None
    long_side: Annotated[
        int | None, Field(ge=64, le=100_000, description="Resizes the photograph to this longer side, pixels.")
    ] = None
    format: Annotated[Format, Field(description="Of the result; `png16` has 16 bits a color, for print.")] = "png"
    keep_gradients: Annotated[
        bool, Field(description="Keeps a picture of the smoothed gradient of each octave with the job.")
    ] = False

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which such a photograph is dreamed."""
        scale = self.long_side / max(height, width) if self.long_side else self.scale or 1.0
        return max(1, round(height * scale)), max(1, round(width * scale))

    @model_validator(mode="after")
    def _refuse_two_sizes(self) -> Self:
        if self.scale is not None and self.long_side is not None:
            raise ValueError("`scale` and `long_side` both say how large the dream is; send one of them")
        return self

    @field_validator("octave_scale", mode="before")
    @classmethod
    def _suggest_the_inverse(cls, value: object) -> object:
        # Half of the field's tools mean the factor upwards (1.4), the other half downwards (0.7).
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 10:
            raise ValueError(f"must be below 1: did you mean {1 / value:.3g} (1/{value:g})?")
        return value


class FeatureMapsParams(Frozen):
    """What a layer sees in an image: its channels' activations, drawn in a grid."""

    model: ModelName = DEFAULT_MODEL
    layer: Annotated[LayerName | None, Field(description="Null means the network's default layer.")] = None
    channels: Annotated[Channels, Field(description="Chosen channels; null means the strongest ones.")] = None
    count: Annotated[int, Field(ge=1, le=256, description="How many of the strongest channels are drawn.")] = 36


# Written with all their fields, they can't be mistaken for one another: each refuses what the other has.
Params: TypeAlias = DreamParams | FeatureMapsParams
