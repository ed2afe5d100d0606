"""What happens to a dream after the climb: the photograph's colors, its share of the picture, and its region."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from shared.params import DreamParams
from worker.dream.inputs import Mask
from worker.dream.types import Image

LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)  # ITU-R BT.601, JPEG's
_ROWS = 256  # at a time, so that nothing of the picture's size is made
_EXACT = 257  # keeps 8 and 16-bit photographs exactly in 16 bits: 255 -> 65535


def region(mask: Mask, height: int, width: int) -> npt.NDArray[np.float32]:
    """The mask at an octave's size: (height, width, 1)."""
    shrinks = height * width < mask.size
    resized = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)[..., None]


@dataclass(frozen=True, slots=True)
class Photograph:
    """The photograph at the dream's size, kept beside the climb in half of its memory."""

    sixteenths: npt.NDArray[np.uint16]  # (H, W, 3), 0..65535

    @classmethod
    def keep(cls, image: Image) -> "Photograph":
        kept = np.empty(image.shape, np.uint16)
        for top in range(0, len(image), _ROWS):
            kept[top : top + _ROWS] = np.rint(image[top : top + _ROWS] * _EXACT)
        return cls(kept)

    def rows(self, top: int, bottom: int) -> Image:
        return self.sixteenths[top:bottom].astype(np.float32) / np.float32(_EXACT)


def needs_photograph(params: DreamParams, mask: Mask | None) -> bool:
    return mask is not None or params.color == "original" or params.strength < 1


def finish(
    dreamed: Image, photograph: Photograph, params: DreamParams, mask: Mask | None, step: Callable[[], None]
) -> None:
    """dreamed <- photograph + strength * mask * (dreamed - photograph), in place, strip by strip.

    `color: original` first replaces the dream's colors: its light is added to the photograph's.
    """
    height, width, _ = dreamed.shape
    share = None if mask is None else region(mask, height, width)
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        photo = photograph.rows(top, bottom)
        change = dreamed[top:bottom] - photo  # (rows, W, 3)
        if params.color == "original":
            change = np.repeat(cv2.transform(change, LUMA)[..., None], 3, axis=2)
        if share is not None:
            change *= share[top:bottom]
        np.clip(photo + np.float32(params.strength) * change, 0, 255, out=dreamed[top:bottom])
        step()


class Light:
    """The photograph's large-scale light, octave by octave: long dreams slowly lose it."""

    CELLS = 12  # along the longer side: coarser than anything that is dreamed

    def __init__(self, octaves: list[Image]) -> None:
        self._kept = [self._coarse(octave) for octave in octaves]

    def restore(self, image: Image, octave: int) -> None:
        """Adds back, in place, what the dream lost or gained."""
        height, width, _ = image.shape
        lost = self._kept[octave] - self._coarse(image)  # (cells, cells)
        image += cv2.resize(lost, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]

    def _coarse(self, image: Image) -> npt.NDArray[np.float32]:
        height, width, _ = image.shape
        cell = max(height, width) / self.CELLS
        size = (max(1, round(width / cell)), max(1, round(height / cell)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.transform(small, LUMA), np.float32)
