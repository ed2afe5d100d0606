"""Fills the transparent parts of a picture: the colors of its edges are continued, smoother with the distance."""

import cv2
import numpy as np
import numpy.typing as npt

from worker.dream import scratch
from worker.dream.types import Image
from worker.images.raster import Samples

SMALL_PX = 1024  # the longer side at which the ground is made
NEUTRAL = np.float32(127.5)  # where nothing of the picture is seen at all
ROWS = 256  # at a time, so that nothing of the picture's size is made
NEARLY_NONE = 1e-4


def is_opaque(alpha: Samples) -> bool:
    full = np.iinfo(alpha.dtype).max
    return all(alpha[rows].min() == full for rows in scratch.bands(*alpha.shape))


def lay_on_ground(image: Image, alpha: Samples) -> None:
    """Puts the ground behind the picture, in place.

    image: float32 (H, W, 3), 0..255.   alpha: (H, W), uint8 or uint16.
    """
    height, width, _ = image.shape
    ground = _filled(*_shrunk(image, alpha))  # (h, w, 3)
    full = np.float32(np.iinfo(alpha.dtype).max)
    columns = np.tile(
        (np.arange(width, dtype=np.float32) + 0.5) * ground.shape[1] / width - 0.5, (min(ROWS, height), 1)
    )
    for top in range(0, height, ROWS):
        band = image[top : top + ROWS]
        rows = (np.arange(top, top + len(band), dtype=np.float32) + 0.5) * ground.shape[0] / height - 0.5
        behind = cv2.remap(
            ground,
            columns[: len(band)],
            np.repeat(rows[:, None], width, axis=1),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        share = (alpha[top : top + ROWS] / full)[..., None]  # (rows, W, 1)
        band -= behind
        band *= share
        band += behind
        scratch.release()


def lay_on_white(image: Image, alpha: Samples) -> None:
    """Puts white behind the picture, in place, as masks are drawn."""
    full = np.float32(np.iinfo(alpha.dtype).max)
    for top in range(0, len(image), ROWS):
        band = image[top : top + ROWS]
        band -= 255
        band *= (alpha[top : top + ROWS] / full)[..., None]
        band += 255
        scratch.release()


def _shrunk(image: Image, alpha: Samples) -> tuple[Image, npt.NDArray[np.float32]]:
    """Returns the colors multiplied by their alpha, and the alpha, both averaged over cells."""
    height, width, _ = image.shape
    cell = -(-max(height, width) // SMALL_PX)
    size = (-(-height // cell), -(-width // cell))
    colors, weights = np.empty((*size, 3), np.float32), np.empty(size, np.float32)
    full = np.float32(np.iinfo(alpha.dtype).max)
    for row in range(size[0]):
        band = slice(row * cell, min((row + 1) * cell, height))
        share = (alpha[band] / full).astype(np.float32)
        starts = np.arange(0, width, cell)
        weights[row] = np.add.reduceat(share.sum(axis=0), starts)
        colors[row] = np.add.reduceat((image[band] * share[..., None]).sum(axis=0), starts, axis=0)
        scratch.release()
    return colors / cell**2, weights / cell**2


def _filled(colors: Image, weights: npt.NDArray[np.float32]) -> Image:
    """Fills by pull and push: what a cell lacks comes from the average of ever larger surroundings.

    Source: Gortler et al. 1996, "The Lumigraph", section 3.4.2.
    """
    if weights.max() < NEARLY_NONE:
        return np.full_like(colors, NEUTRAL)
    levels = [(colors, weights)]
    while max(levels[-1][1].shape) > 1:
        height, width = levels[-1][1].shape
        half = (-(-width // 2), -(-height // 2))
        levels.append(
            (
                np.asarray(cv2.resize(levels[-1][0], half, interpolation=cv2.INTER_AREA), np.float32).reshape(
                    half[1], half[0], 3
                ),
                np.asarray(cv2.resize(levels[-1][1], half, interpolation=cv2.INTER_AREA), np.float32).reshape(
                    half[1], half[0]
                ),
            )
        )
    top_colors, top_weights = levels.pop()
    ground = top_colors / np.maximum(top_weights, NEARLY_NONE)[..., None]
    for level_colors, level_weights in reversed(levels):
        height, width = level_weights.shape
        wide = cv2.resize(ground, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)
        own = np.minimum(level_weights, 1)[..., None]
        ground = level_colors + (1 - own) * wide  # level_colors are multiplied by their weight already
    return np.asarray(ground, np.float32)
