"""What a dream tells about itself: enough to repeat it, and to see where its time went."""

from pydantic import BaseModel, ConfigDict

from shared.params import DreamParams


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IterationStatistics(_Record):
    """The smoothed gradient of one iteration, before it is scaled to the step."""

    octave: int
    iteration: int
    minimum: float
    maximum: float
    std: float
    step: float  # what the gradient was multiplied by: gray levels per unit


class TileChange(_Record):
    """Memory ran out: fewer tiles at once or smaller ones. A smaller tile voids byte-identity with other runs."""

    octave: int
    iteration: int
    batch: int
    tile_size: int
    why: str


class Timings(_Record):
    """Seconds of this attempt, by phase."""

    network_s: float
    blur_s: float  # the update included
    resize_s: float
    total_s: float


class Report(_Record):
    """One attempt's account. A resumed dream's statistics begin where it was resumed."""

    params: DreamParams  # as they were run: names resolved, tile size chosen
    model: str
    weights_sha256: str
    device: str
    threads: int
    octave_sizes: tuple[tuple[int, int], ...]  # (height, width), smallest first; fewer than asked for small pictures
    tile_size: int  # at the end
    tile_changes: tuple[TileChange, ...]
    iterations: tuple[IterationStatistics, ...]
    timings: Timings
    versions: dict[str, str]

    def recipe(self) -> dict[str, object]:
        """What the picture itself carries, to be dreamed again. Nothing of the attempt or the time is in it."""
        kept = {"params", "model", "weights_sha256", "tile_size", "versions"}
        return self.model_dump(mode="json", include=kept)

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=1).encode()
