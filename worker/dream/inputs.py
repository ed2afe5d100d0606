"""Defines the optional input images of a job in addition to its photograph."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from worker.dream.types import Image

Mask: TypeAlias = npt.NDArray[
    np.float32
]  # (height, width), any size; 1: the processed image, 0: the photograph unchanged


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Inputs:
    """Holds the optional guide and the optional mask."""

    guide: Image | None = None  # gradient ascent amplifies the features that the targets detect in it; any size
    mask: Mask | None = None
