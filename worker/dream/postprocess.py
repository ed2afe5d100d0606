"""Applies color, strength and mask to the image after gradient ascent."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from shared.params import DreamParams
from worker.dream.inputs import Mask
from worker.dream.types import Image

LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)  # ITU-R BT.601, JPEG's
_ROWS = 256  # processed at a time, so that no array of the image's size is allocated
_EXACT = 257  # represents 8-bit and 16-bit photographs exactly in 16 bits: 255 -> 65535


def region(mask: Mask, height: int, width: int) -> npt.NDArray[np.float32]:
    """Returns the mask at an octave's size, (height, width, 1)."""
    shrinks = height * width < mask.size
    resized = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)[..., None]


@dataclass(frozen=True, slots=True)
class Photograph:
    """Holds the photograph at the job's size during gradient ascent, in half of the memory of float32."""

    pixels16: npt.NDArray[np.uint16]  # (H, W, 3), 0..65535

    @classmethod
    def keep(cls, image: Image) -> "Photograph":
        pixels16 = np.empty(image.shape, np.uint16)
        for top in range(0, len(image), _ROWS):
            pixels16[top : top + _ROWS] = np.rint(image[top : top + _ROWS] * _EXACT)
        return cls(pixels16)

    def rows(self, top: int, bottom: int) -> Image:
        return self.pixels16[top:bottom].astype(np.float32) / np.float32(_EXACT)


def needs_photograph(params: DreamParams, mask: Mask | None) -> bool:
    return mask is not None or params.color == "original" or params.strength < 1


def finish(
    dreamed: Image, photograph: Photograph, params: DreamParams, mask: Mask | None, step: Callable[[], None]
) -> None:
    """Computes dreamed <- photograph + strength * mask * (dreamed - photograph) in place, strip by strip.

    `color: original` first replaces the colors: only the change in luma is added to the photograph.
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
    """Restores the photograph's large-scale brightness in each octave, because long gradient ascent slowly loses it."""

    CELLS = 12  # along the longer side: coarser than any feature that gradient ascent adds

    def __init__(self, octaves: list[Image]) -> None:
        self._original = [self._coarse(octave) for octave in octaves]

    def restore(self, image: Image, octave: int) -> None:
        """Cancels, in place, the change in large-scale brightness."""
        height, width, _ = image.shape
        lost = self._original[octave] - self._coarse(image)  # (cells, cells)
        image += cv2.resize(lost, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]

    def _coarse(self, image: Image) -> npt.NDArray[np.float32]:
        height, width, _ = image.shape
        cell = max(height, width) / self.CELLS
        size = (max(1, round(width / cell)), max(1, round(height / cell)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.transform(small, LUMA), np.float32)
