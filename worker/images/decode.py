"""Photographs in: any file becomes sRGB numbers once."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np

from shared.errors import DreamError, ImageUnreadable
from shared.images.header import TURNS
from shared.images.profile import read_profile
from shared.images.read import check_pixels, read_header
from worker.dream import scratch
from worker.dream.inputs import Mask
from worker.dream.postprocess import LUMA
from worker.dream.types import Image
from worker.images.color import to_srgb
from worker.images.decoders import decode_pixels
from worker.images.ground import is_opaque, lay_on_ground, lay_on_white
from worker.images.raster import Samples

BLOCK_PX = 512  # turned at a time: rows become columns, so that a band of rows would touch the whole picture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Decoded:
    image: Image  # float32 (H, W, 3), RGB, 0..255: upright, in sRGB, on a ground where it is transparent
    alpha: Samples | None  # (H, W), uint8 or uint16; None where nothing is transparent
    notes: tuple[str, ...]  # what was ignored, in sentences


def decode(file: BinaryIO, *, max_pixels: int, formats: Collection[str] | None = None, paper: bool = False) -> Decoded:
    """Returns the first picture of the file.

    paper: lays it on white, as masks are drawn, instead of on a ground.
    Raises UnsupportedImage, ImageTooLarge (from the header, before decoding) or ImageUnreadable; none can be retried.
    """
    header = read_header(file, formats=formats)
    check_pixels(header, max_pixels)
    profile, profile_note = read_profile(file, header.colors)
    with _translated():
        raster = decode_pixels(file, header)
    image, color_notes = to_srgb(raster, profile, header.colors)
    notes = (*header.notes, *raster.notes, *((profile_note,) if profile_note else ()), *color_notes)
    alpha = None if raster.alpha is None or is_opaque(raster.alpha) else raster.alpha
    del raster
    if alpha is not None:
        (lay_on_white if paper else lay_on_ground)(image, alpha)
    steps, mirrored = TURNS[header.orientation]
    return Decoded(
        image=_upright(image, steps, mirrored=mirrored),
        alpha=None if alpha is None else _upright(alpha, steps, mirrored=mirrored),
        notes=tuple(dict.fromkeys(notes)),
    )


def mask_of(image: Image) -> Mask:
    """Returns a decoded picture as a mask: (height, width), 1 where it is white."""
    gray: Mask = scratch.empty(image.shape[:2])
    for rows in scratch.bands(*image.shape[:2]):
        gray[rows] = cv2.transform(image[rows], LUMA)
        gray[rows] /= 255
    return gray


def _upright(array: Samples, steps: int, *, mirrored: bool) -> Samples:
    """Mirrors left to right if asked for, then turns counterclockwise in steps of 90 degrees."""
    if steps == 0 and not mirrored:
        return array
    turned = np.rot90(np.fliplr(array) if mirrored else array, steps)  # a view
    upright = scratch.empty(turned.shape, array.dtype)
    for top in range(0, len(turned), BLOCK_PX):
        for left in range(0, turned.shape[1], BLOCK_PX):
            block = slice(top, top + BLOCK_PX), slice(left, left + BLOCK_PX)
            upright[block] = turned[block]
            scratch.release()
    return upright


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DreamError, MemoryError):
        raise
    except Exception as exc:  # decoders raise nearly anything on hostile bytes
        raise ImageUnreadable(f"The image can't be read: {str(exc).strip(' .')[:200] or type(exc).__name__}.") from exc
