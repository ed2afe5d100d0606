"""Defines what the coordinator of a shared dream and its helpers send each other."""

from collections.abc import Iterator, Sequence
from typing import Literal, Self

import numpy as np
from pydantic import ConfigDict, ValidationError

from shared.jobs.job import Document
from shared.params import Target
from worker.dream.tiles.tiling import Tile
from worker.dream.types import Image

PROTOCOL = 2  # workers with another one don't help each other: raise it with every change of these messages
BYTES_PER_PX = 3 * 4  # float32, three colors
PIECE_BYTES = 2**20  # stays in the processor's caches while it is copied; Redis serves others between two pieces


def pieces(image: Image) -> Iterator[memoryview]:
    """Yields the pixels row by row, as little-endian float32, in pieces of about a megabyte."""
    rows = max(1, PIECE_BYTES // (image.shape[1] * BYTES_PER_PX))
    for top in range(0, len(image), rows):
        yield np.ascontiguousarray(image[top : top + rows], "<f4").data.cast("B")


def joined(received: Sequence[bytes], height: int, width: int) -> Image:
    """Returns the image of `pieces`, (height, width, 3). Raises ValueError if its size differs."""
    if sum(map(len, received)) != height * width * BYTES_PER_PX:
        raise ValueError(f"The pixels are not those of {height} x {width}.")
    image = np.empty((height, width, 3), "<f4")
    place, at = image.data.cast("B"), 0
    for piece in received:
        place[at : at + len(piece)] = piece
        at += len(piece)
    return image


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
    memory: tuple[int, int, str] | None = None  # a shared_memory.Address: the pixels are there and not in Redis

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
    """Answers a request. The core's gradient is sent apart, before it, unless the helper could not compute it."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")  # std may be NaN
    number: int
    worker: str
    std: float = 0.0
    compute_s: float = 0.0
    take_s: float = 0.0  # how long it took to receive the window
    failure: Literal["receive", "compute"] | None = None  # what the helper could not do

    def pack(self) -> bytes:
        return self.model_dump_json().encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Returns the answer. Raises ValueError if it is not one of ours."""
        try:
            return cls.model_validate_json(packed)
        except ValidationError as exc:
            raise ValueError("The answer can't be read.") from exc
