"""Defines what the coordinator of a shared dream and its helpers send each other."""

from typing import Self

import numpy as np
from pydantic import ConfigDict, ValidationError

from shared.jobs.job import Document
from shared.params import Target
from worker.dream.ascent.tiling import Tile
from worker.dream.types import Image

BYTES_PER_PX = 3 * 4  # float32, three colors
LONGEST_HEADER = 4096


def pixel_bytes(image: Image) -> bytes:
    """Returns the pixels row by row, as little-endian float32."""
    return np.ascontiguousarray(image, "<f4").tobytes()


def pixels(packed: bytes, height: int, width: int) -> Image:
    """Returns the image of `pixel_bytes`, (height, width, 3), read-only. Raises ValueError if the size differs."""
    return np.frombuffer(packed, "<f4").reshape(height, width, 3)


class TileRequest(Document):
    """Asks a helper for the gradient of one tile. The window's pixels are sent apart, as little-endian float32."""

    job_id: str
    claim: str  # of the coordinator's attempt
    number: int  # of the tile, unique in this attempt
    model: str
    weights_sha256: str
    layers: tuple[Target, ...]
    window: tuple[int, int]  # (height, width), pixels
    core: tuple[tuple[int, int], tuple[int, int]]  # rows and columns within the window
    guide: tuple[int, int] | None = None  # (height, width); its pixels are sent apart, once per attempt

    @property
    def core_slices(self) -> tuple[slice, slice]:
        rows, columns = self.core
        return slice(*rows), slice(*columns)

    @property
    def core_shape(self) -> tuple[int, int]:
        (top, bottom), (left, right) = self.core
        return bottom - top, right - left

    @property
    def window_px(self) -> int:
        height, width = self.window
        return height * width

    @property
    def total_bytes(self) -> int:
        """Returns how many bytes the window and its answer take together."""
        core_height, core_width = self.core_shape
        return (self.window_px + core_height * core_width) * BYTES_PER_PX

    @classmethod
    def of(cls, tile: Tile, **fields: object) -> Self:
        """Returns the request for a tile."""
        (top, bottom), (left, right) = tile.window
        rows, columns = tile.core_in_window
        core = ((rows.start, rows.stop), (columns.start, columns.stop))
        return cls.model_validate({**fields, "window": (bottom - top, right - left), "core": core})


class TileAnswer(Document):
    """Answers a request, in front of the core's gradient. Without pixels if the helper could not compute it."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")  # std may be NaN
    number: int
    worker: str
    std: float = 0.0
    compute_s: float = 0.0
    take_s: float = 0.0  # how long it took to receive the window
    is_computed: bool = True

    def pack(self, core: Image | None = None) -> bytes:
        return self.model_dump_json().encode() + b"\n" + (b"" if core is None else pixel_bytes(core))

    @classmethod
    def unpack(cls, packed: bytes) -> tuple[Self, bytes]:
        """Returns the answer and the pixels' bytes. Raises ValueError if it is not one of ours."""
        header, newline, _ = packed[:LONGEST_HEADER].partition(b"\n")
        if not newline:
            raise ValueError("The answer has no header.")
        try:
            return cls.model_validate_json(header), packed[len(header) + 1 :]
        except ValidationError as exc:
            raise ValueError("The answer's header can't be read.") from exc
