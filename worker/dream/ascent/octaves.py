"""Builds the octaves of the photograph, from small to large, and carries the result of one into the next."""

from collections.abc import Callable

import cv2
import numpy as np

from worker.dream import scratch
from worker.dream.ascent import device
from worker.dream.ascent.blur import gaussian, radius
from worker.dream.resize import Place, Read, Resize
from worker.dream.types import Image

_MOST_THREADS = 4  # each needs a piece's memory
_ANTIALIAS = 0.5  # sigma, pixels, before each step down


def enlarged(image: Image, height: int, width: int) -> Image:
    """Returns the photograph resized to the job's size; the same array if it already has that size."""
    if image.shape[:2] == (height, width):
        return image
    result: Image = scratch.empty((height, width, 3))

    def fill(place: Place, larger: Image) -> None:
        np.clip(larger, 0, 255, out=result[place])  # Lanczos overshoots

    _each_piece(Resize(image.shape[:2], (height, width)), image.__getitem__, fill)
    return result


def pyramid(image: Image, sizes: list[tuple[int, int]], step: Callable[[], None]) -> list[Image]:
    """Returns the photograph at those sizes, smallest first; the last is `image` itself.

    Calls `step` after each piece.
    """
    octaves = [image]
    for height, width in sizes[-2::-1]:
        below: Image = scratch.empty((height, width, 3))

        def fill(place: Place, smaller: Image, below: Image = below) -> None:
            below[place] = smaller

        _shrink(octaves[-1], (height, width), fill, step)
        octaves.append(below)
    return octaves[::-1]


def blend_into(octave: Image, previous: Image, blend: float, step: Callable[[], None]) -> None:
    """Computes octave <- blend * octave + (1 - blend) * resize(previous) in place. Calls `step` after each piece."""

    def add(place: Place, larger: Image) -> None:
        cv2.addWeighted(octave[place], blend, larger, 1 - blend, 0, dst=octave[place])

    _each_piece(Resize(previous.shape[:2], octave.shape[:2]), previous.__getitem__, add, step)


def carry_into(octave: Image, previous: Image, step: Callable[[], None]) -> None:
    """Computes octave <- octave + resize(detail) in place. Calls `step` after each piece.

    The detail is `previous` minus the photograph at that size, which is computed from `octave` again.
    Source: google/deepdream's `detail`, 2015.
    """

    detail: Image = scratch.empty(previous.shape)  # `step` may stop the dream: `previous` is what resumes it

    def subtract(place: Place, photograph: Image) -> None:
        np.subtract(previous[place], photograph, out=detail[place])

    def add(place: Place, larger: Image) -> None:
        cv2.add(octave[place], larger, dst=octave[place])

    _shrink(octave, previous.shape[:2], subtract, step)
    _each_piece(Resize(detail.shape[:2], octave.shape[:2]), detail.__getitem__, add, step)


def _shrink(image: Image, size: tuple[int, int], use: Callable[[Place, Image], None], step: Callable[[], None]) -> None:
    """Resizes an image after a slight blur, which prevents aliasing, and calls `use` with each piece."""
    around = radius(_ANTIALIAS)

    def blurred(place: Place) -> Image:
        wider = tuple(
            slice(max(0, part.start - around), min(part.stop + around, length))
            for part, length in zip(place, image.shape, strict=False)
        )
        within = tuple(
            slice(part.start - larger.start, part.stop - larger.start)
            for part, larger in zip(place, wider, strict=True)
        )
        return gaussian(image[wider], _ANTIALIAS)[within]

    _each_piece(Resize(image.shape[:2], size), blurred, use, step)


def _each_piece(
    resize: Resize, read: Read, use: Callable[[Place, Image], None], step: Callable[[], None] = lambda: None
) -> None:
    """Resizes an image, several pieces at once. Calls `use` with each one's place and values, on any thread."""

    def run(place: Place) -> None:
        use(place, resize.piece(read, place))
        scratch.release()

    for _ in device.pool(min(device.cores(), _MOST_THREADS)).map(run, resize.pieces):
        step()
