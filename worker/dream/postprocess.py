"""Applies color, strength and mask to the image after gradient ascent."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from shared.params import DreamParams
from worker.dream import scratch
from worker.dream.inputs import Mask
from worker.dream.resize import LINEAR, reduced, resized
from worker.dream.types import Image

Share = npt.NDArray[np.float32]  # (H, W, 1): a mask at the image's size

LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)  # ITU-R BT.601, JPEG's
_EXACT = 257  # represents 8-bit and 16-bit photographs exactly in 16 bits: 255 -> 65535


def region(mask: Mask, height: int, width: int) -> Share:
    """Returns the mask at an octave's size."""
    share: Share = scratch.empty((height, width, 1))
    size = (mask.shape[0], mask.shape[1])
    for place, part in resized(mask.__getitem__, size, (height, width), LINEAR):
        share[..., 0][place] = part
    return share


@dataclass(frozen=True, slots=True)
class Photograph:
    """Holds the photograph at the job's size during gradient ascent, in half of the memory of float32."""

    pixels16: npt.NDArray[np.uint16]  # (H, W, 3), 0..65535

    @classmethod
    def keep(cls, image: Image) -> "Photograph":
        pixels16 = scratch.empty(image.shape, np.uint16)
        for rows in scratch.bands(*image.shape[:2]):
            pixels16[rows] = np.rint(image[rows] * _EXACT)
        return cls(pixels16)

    def rows(self, rows: slice) -> Image:
        return self.pixels16[rows].astype(np.float32) / np.float32(_EXACT)


def needs_photograph(params: DreamParams, mask: Mask | None) -> bool:
    return mask is not None or params.color == "original" or params.strength < 1


def finished(
    dreamed: Image, photograph: Photograph, params: DreamParams, mask: Mask | None, step: Callable[[], None]
) -> Image:
    """Returns photograph + strength * mask * (dreamed - photograph). Calls `step` after each band of rows.

    `color: original` first replaces the colors: only the change in luma is added to the photograph.
    """
    height, width, _ = dreamed.shape
    result: Image = scratch.empty(dreamed.shape)  # `step` may stop the dream: `dreamed` is what resumes it
    share = None if mask is None else region(mask, height, width)
    for rows in scratch.bands(height, width):
        photo = photograph.rows(rows)
        change = dreamed[rows] - photo  # (rows, W, 3)
        if params.color == "original":
            change = np.repeat(cv2.transform(change, LUMA)[..., None], 3, axis=2)
        if share is not None:
            change *= share[rows]
        np.clip(photo + np.float32(params.strength) * change, 0, 255, out=result[rows])
        step()
    return result


def clip(image: Image) -> None:
    """Limits the values to 0..255 in place."""
    for rows in scratch.bands(*image.shape[:2]):
        np.clip(image[rows], 0, 255, out=image[rows])


class Light:
    """Restores the photograph's large-scale brightness in each octave, because long gradient ascent slowly loses it."""

    CELLS = 12  # along the longer side: coarser than any feature that gradient ascent adds

    def __init__(self, octaves: list[Image]) -> None:
        self._original = [self._coarse(octave) for octave in octaves]

    def restored(self, image: Image, octave: int) -> Image:
        """Returns the image without its change in large-scale brightness."""
        height, width, _ = image.shape
        result: Image = scratch.empty(image.shape)  # not in place: twice would not be the same as once
        lost = self._original[octave] - self._coarse(image)  # (cells down, cells across)
        down = len(lost)
        wide = cv2.resize(lost, (width, down), interpolation=cv2.INTER_CUBIC)
        weights = cv2.resize(np.eye(down, dtype=np.float32), (down, height), interpolation=cv2.INTER_CUBIC)
        for rows in scratch.bands(height, width):
            change = cv2.gemm(weights[rows], wide, 1, None, 0)  # type: ignore[call-overload]  # None is allowed
            np.add(image[rows], change[..., None], out=result[rows])
        return result

    def _coarse(self, image: Image) -> npt.NDArray[np.float32]:
        """Returns the mean luma of each cell."""
        height, width, _ = image.shape
        cell = max(height, width) / self.CELLS
        small = reduced(image, max(1, round(height / cell)), max(1, round(width / cell)))
        return np.asarray(cv2.transform(small, LUMA), np.float32)
