"""Defines the report of an attempt: enough to repeat the job, and to see how its time was spent."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from shared.params import DreamParams


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IterationStatistics(_Record):
    """Summarizes the smoothed gradient of one iteration, before it is scaled to the step."""

    octave: int
    iteration: int
    minimum: float
    maximum: float
    std: float
    step: float  # factor by which the gradient was multiplied: gray levels per unit


class TileChange(_Record):
    """Records that memory ran out, and the reduced number or size of tiles.

    With smaller tiles the result is no longer byte-identical to that of other runs.
    """

    octave: int
    iteration: int
    batch: int
    tile_size: int
    why: str


class Timings(_Record):
    """Holds the seconds of this attempt by phase."""

    network_s: float
    blur_s: float  # includes the update
    resize_s: float
    total_s: float


class Report(_Record):
    """Describes one attempt. The statistics of a resumed job begin where it was resumed."""

    params: DreamParams  # as used: names resolved, tile size chosen
    model: str
    weights_sha256: str
    device: str
    threads: int
    octave_sizes: tuple[tuple[int, int], ...]  # (height, width), smallest first; fewer than asked for small images
    tile_size: int  # at the end
    tile_changes: tuple[TileChange, ...]
    iterations: tuple[IterationStatistics, ...]
    timings: Timings
    versions: dict[str, str]
    helpers: dict[str, int] = {}  # worker -> tiles that it computed for this attempt's worker
    warnings: tuple[str, ...] = ()  # what of the inputs was ignored, and what of the result is not as asked

    def with_warnings(self, warnings: tuple[str, ...]) -> "Report":
        return self.model_copy(update={"warnings": warnings})

    def with_helpers(self, tiles: Mapping[str, int]) -> "Report":
        return self.model_copy(update={"helpers": dict(tiles)})

    def recipe(self) -> dict[str, object]:
        """Returns the fields embedded in the result's file, which suffice to repeat the job.

        Excludes everything about the attempt and its time.
        """
        fields = {"params", "model", "weights_sha256", "tile_size", "versions"}
        return self.model_dump(mode="json", include=fields)

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=1).encode()
