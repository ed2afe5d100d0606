"""A decoded picture with the file's own samples and color space."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[Any]  # uint8 or uint16 over their whole range: 255 or 65535 is full
Space = Literal["gray", "rgb", "cmyk"]  # of cmyk, 0 is no ink


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Raster:
    samples: Samples  # (H, W) for gray, (H, W, 3) for rgb, (H, W, 4) for cmyk
    space: Space
    alpha: Samples | None = None  # (H, W)
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Returns width and height."""
        return self.samples.shape[1], self.samples.shape[0]


def scaled(samples: Samples, bits: int) -> Samples:
    """Scales whole numbers of that many bits to the whole range of uint8 or uint16."""
    if bits in {8, 16}:
        return samples
    if bits < 8:
        scaled_up: Samples = np.multiply(samples, 255 // (2**bits - 1), dtype=np.uint8, casting="unsafe")
        return scaled_up
    if bits == 32:
        return np.asarray(samples >> 16, np.uint16)
    wide: Samples = np.multiply(samples, 65535, dtype=np.uint32)
    return np.asarray(wide // (2**bits - 1), np.uint16)
