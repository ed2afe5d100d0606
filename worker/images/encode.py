"""Pictures out: results with their recipes, previews, gradients."""

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageCms, PngImagePlugin

from shared.networks.catalog import LONGEST_SIDE
from shared.params import Format
from worker.dream.types import Image
from worker.images import xmp
from worker.images.png16 import write_png16
from worker.images.raster import Samples

CONTENT_TYPES: dict[Format, str] = {
    "png": "image/png",
    "png16": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
RECIPE = "dreamqueue"  # the PNG text chunk that holds the recipe
PREVIEW_PX = 512  # the longer side
MAX_EXIF_BYTES = 65_000  # of the recipe in a JPEG's EXIF segment, whose length has 16 bits
_BAND_ROWS = 256  # converted at a time, so that a picture is never held twice in floats
_IMAGE_DESCRIPTION = 0x010E  # EXIF tag
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_DATE_FIELD = slice(24, 36)  # of an ICC profile's header: six numbers of two bytes, year to second
_FIXED_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # equal pictures are equal files


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    format: Format  # what it became: png where the format that was asked for failed
    warnings: tuple[str, ...]


def encode(
    image: Image,
    file: BinaryIO,
    *,
    format: Format,  # noqa: A002
    recipe: Mapping[str, object],
    alpha: Samples | None = None,
) -> Encoded:
    """Writes the picture, tagged sRGB, the recipe in its metadata. The same bytes for the same input.

    8 bits a color, but for `png16`. A picture that the format can't hold becomes a PNG, so that no dream is lost.

    image: float32 (H, W, 3), RGB, 0..255.   alpha: uint8 or uint16 (h, w) of any size; kept in PNG and WebP.
    """
    text = json.dumps(recipe, sort_keys=True)
    warnings: tuple[str, ...] = ()
    if alpha is not None and format == "jpeg":
        warnings = ("The photograph is transparent in places and JPEG can't be: there, the result shows the ground.",)
        alpha = None
    resized = None if alpha is None else _resized(alpha, *image.shape[:2])
    try:
        _write(image, resized, file, format, text)
    except MemoryError:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever an encoder raises: the dream is done and must be kept
        file.seek(0)
        file.truncate()
        _write(image, resized, file, "png", text)
        why = str(exc).strip(" .")[:200] or type(exc).__name__
        return Encoded(format="png", warnings=(*warnings, f"The result is a PNG, since as {format} it failed: {why}."))
    return Encoded(format=format, warnings=warnings)


def _write(image: Image, alpha: Samples | None, file: BinaryIO, format: Format, text: str) -> None:  # noqa: A002
    profile = _srgb_tag()
    longest = LONGEST_SIDE.get(format)
    if longest is not None and max(image.shape) > longest:
        raise ValueError(f"a side has more than {longest} pixels")
    if format == "png16":
        write_png16(image, file, profile=profile, text={RECIPE: text}, alpha=alpha)
        return
    picture = Pillow.fromarray(to_pixels(image))
    if alpha is not None:
        picture.putalpha(Pillow.fromarray(_eight_bits(alpha)))
    if format == "png":
        chunk = PngImagePlugin.PngInfo()
        chunk.add_itxt(RECIPE, text)
        picture.save(file, "PNG", icc_profile=profile, pnginfo=chunk, compress_level=4)  # 6 is twice as slow
    elif format == "jpeg":
        kept = {"exif": _exif(text)} if len(text) <= MAX_EXIF_BYTES else {"extra": xmp.segments(text)}
        picture.save(file, "JPEG", icc_profile=profile, quality=95, subsampling=0, **kept)
    else:
        picture.save(file, "WEBP", icc_profile=profile, exif=_exif(text), quality=92)


def _exif(text: str) -> bytes:
    exif = Pillow.Exif()
    exif[_IMAGE_DESCRIPTION] = text
    return exif.tobytes()


def _resized(alpha: Samples, height: int, width: int) -> Samples:
    if alpha.shape == (height, width):
        return alpha
    shrinks = height * width < alpha.size
    return cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _eight_bits(alpha: Samples) -> npt.NDArray[np.uint8]:
    return alpha if alpha.dtype == np.uint8 else np.rint(alpha / np.float32(257)).astype(np.uint8)


def gradient_picture(gradient: Image) -> bytes:
    """Returns a PNG of a gradient: gray is nothing, three standard deviations either way are black and white."""
    spread = float(gradient.std()) or 1.0
    file = io.BytesIO()
    Pillow.fromarray(to_pixels(127.5 + gradient * np.float32(127.5 / (3 * spread)))).save(file, "PNG")
    return file.getvalue()


def _srgb_tag() -> bytes:
    profile = bytearray(_SRGB.tobytes())
    profile[_DATE_FIELD] = _FIXED_DATE
    return bytes(profile)


def preview(image: Image) -> bytes:
    """Returns a small JPEG of the picture so far. Pixels beyond 0..255, as within an octave, are clipped."""
    height, width, _ = image.shape
    scale = min(1.0, PREVIEW_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    file = io.BytesIO()
    Pillow.fromarray(to_pixels(small)).save(file, "JPEG", quality=85)  # type: ignore[arg-type]
    return file.getvalue()


def to_pixels(image: Image) -> npt.NDArray[np.uint8]:
    """Rounds to uint8 (H, W, 3): the only place where a dream is rounded."""
    pixels = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _BAND_ROWS):
        band = np.rint(image[top : top + _BAND_ROWS])
        pixels[top : top + _BAND_ROWS] = np.clip(band, 0, 255, out=band)
    return pixels
