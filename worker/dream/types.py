"""Defines the types that the numerics share."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.float32]  # (height, width, 3), RGB, 0..255
