"""The pictures that a dream may be given beside its photograph."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from worker.dream.types import Image

Mask: TypeAlias = npt.NDArray[
    np.float32
]  # (height, width), any size; 1 where the dream is, 0 where the photograph stays


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Inputs:
    guide: Image | None = None  # the dream climbs towards what the targets see in it; any size
    mask: Mask | None = None
