"""The pyramid: octaves of the photograph from small to large, and how one becomes the next one's start."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from worker.dream.blur import gaussian
from worker.dream.watch import Image

_ANTIALIAS = 0.5  # sigma, pixels, before each step down


def octave_sizes(height: int, width: int, *, octaves: int, scale: float, minimum_px: int) -> list[tuple[int, int]]:
    """(height, width) of each octave, smallest first; fewer than asked where the network's minimum is reached."""
    sizes = [(height, width)]
    while len(sizes) < octaves:
        below = (int(sizes[-1][0] * scale), int(sizes[-1][1] * scale))
        if min(below) < minimum_px:
            break
        sizes.append(below)
    return sizes[::-1]


def enlarged(image: Image, height: int, width: int) -> Image:
    """The photograph at the size at which it is dreamt; itself where that is its own."""
    if image.shape[:2] == (height, width):
        return image
    result = np.empty((height, width, 3), np.float32)
    for colour in range(3):
        result[..., colour] = np.clip(resize(image[..., colour], height, width), 0, 255)  # Lanczos overshoots
    return result


def pyramid(image: Image, sizes: list[tuple[int, int]], step: Callable[[], None]) -> list[Image]:
    """The photograph at those sizes, smallest first; the last is `image` itself. Calls `step` as it goes."""
    octaves = [image]
    for height, width in sizes[-2::-1]:
        below = np.empty((height, width, 3), np.float32)
        for colour in range(3):  # one at a time: a large photograph is not held twice
            below[..., colour] = resize(gaussian(octaves[-1][..., colour].copy(), _ANTIALIAS), height, width)
            step()
        octaves.append(below)
    return octaves[::-1]


def blend_into(octave: Image, previous: Image, blend: float, step: Callable[[], None]) -> None:
    """octave <- blend * octave + (1 - blend) * resize(previous), in place. Calls `step` as it goes."""
    height, width, _ = octave.shape
    for colour in range(3):
        grown = resize(previous[..., colour], height, width)
        octave[..., colour] *= np.float32(blend)
        grown *= np.float32(1 - blend)
        octave[..., colour] += grown
        step()


def resize(channel: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Antialiased Lanczos (a = 3) of one channel (h, w), in float."""
    resized = Pillow.fromarray(np.ascontiguousarray(channel)).resize((width, height), Pillow.Resampling.LANCZOS)
    return np.array(resized)  # a copy that may be written to
