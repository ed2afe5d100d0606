"""Pictures out: results with their recipes, previews, gradients."""

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageCms, PngImagePlugin

from shared.networks.catalog import LONGEST_SIDE
from shared.params import Format
from worker.dream import scratch
from worker.dream.resize import reduced
from worker.dream.types import Image
from worker.images import xmp
from worker.images.large import is_large
from worker.images.png_writer import with_bits, write_png
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
QUALITY = 95  # of JPEGs
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
    except Exception as exc:  # noqa: BLE001 - whatever an encoder raises: the dream is done and must be kept
        why = str(exc).strip(" .")[:200] or type(exc).__name__
    else:
        return Encoded(format=format, warnings=warnings)
    # Only now, when the exception no longer keeps the encoder's memory, and row by row: that may be what was missing.
    file.seek(0)
    file.truncate()
    write_png(image, file, bits=8, profile=_srgb_tag(), text={RECIPE: text}, alpha=resized)
    return Encoded(format="png", warnings=(*warnings, f"The result is a PNG, since as {format} it failed: {why}."))


def _write(image: Image, alpha: Samples | None, file: BinaryIO, format: Format, text: str) -> None:  # noqa: A002
    profile = _srgb_tag()
    longest = LONGEST_SIDE.get(format)
    if longest is not None and max(image.shape) > longest:
        raise ValueError(f"a side has more than {longest} pixels")
    if format == "png16":
        write_png(image, file, bits=16, profile=profile, text={RECIPE: text}, alpha=alpha)
        return
    large = is_large((image.shape[1], image.shape[0]))
    if large and format == "png":
        write_png(image, file, bits=8, profile=profile, text={RECIPE: text}, alpha=alpha)
        return
    if large and format == "jpeg":
        _write_large_jpeg(image, file, profile, text)
        return
    picture = Pillow.fromarray(to_pixels(image))
    if alpha is not None:
        picture.putalpha(Pillow.fromarray(with_bits(alpha, 8)))
    if format == "png":
        chunk = PngImagePlugin.PngInfo()
        chunk.add_itxt(RECIPE, text)
        picture.save(file, "PNG", icc_profile=profile, pnginfo=chunk, compress_level=4)  # 6 is twice as slow
    elif format == "jpeg":
        picture.save(file, "JPEG", icc_profile=profile, quality=QUALITY, subsampling=0, **_jpeg_recipe(text))
    else:
        picture.save(file, "WEBP", icc_profile=profile, exif=_exif(text), quality=92)


def _jpeg_recipe(text: str) -> dict[str, bytes]:
    return {"exif": _exif(text)} if len(text) <= MAX_EXIF_BYTES else {"extra": xmp.segments(text)}


def _write_large_jpeg(image: Image, file: BinaryIO, profile: bytes, text: str) -> None:
    """Writes a JPEG without a copy of its pixels in memory; its metadata are those of a small one."""
    small = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(small, "JPEG", icc_profile=profile, **_jpeg_recipe(text))
    head = small.getvalue()
    with scratch.releasing():
        coded = imagecodecs.jpeg8_encode(to_pixels(image), level=QUALITY, subsampling="444")
    file.write(head[: head.index(b"\xff\xdb")])  # all segments before the quantization tables
    file.write(memoryview(coded)[coded.index(b"\xff\xdb") :])


def _exif(text: str) -> bytes:
    exif = Pillow.Exif()
    exif[_IMAGE_DESCRIPTION] = text
    return exif.tobytes()


def _resized(alpha: Samples, height: int, width: int) -> Samples:
    if alpha.shape == (height, width):
        return alpha
    shrinks = height * width < alpha.size
    return cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def write_gradient(gradient: Image, file: BinaryIO) -> None:
    """Writes a PNG of a gradient: gray is nothing, three standard deviations either way are black and white."""
    spread = _spread(gradient) or 1.0
    shown: Image = scratch.empty(gradient.shape)
    for rows in scratch.bands(*gradient.shape[:2]):
        shown[rows] = 127.5 + gradient[rows] * np.float32(127.5 / (3 * spread))
    write_png(shown, file, bits=8)


def _spread(image: Image) -> float:
    """Returns the standard deviation over pixels and colors."""
    sums = np.zeros(2)
    for rows in scratch.bands(*image.shape[:2]):
        band = image[rows].astype(np.float64)
        sums += band.sum(), np.square(band).sum()
    mean, square = sums / image.size
    return float(np.sqrt(max(0.0, square - mean**2)))


def _srgb_tag() -> bytes:
    profile = bytearray(_SRGB.tobytes())
    profile[_DATE_FIELD] = _FIXED_DATE
    return bytes(profile)


def preview(image: Image) -> bytes:
    """Returns a small JPEG of the picture so far. Pixels beyond 0..255, as within an octave, are clipped."""
    height, width, _ = image.shape
    scale = min(1.0, PREVIEW_PX / max(height, width))
    small = reduced(image, max(1, round(height * scale)), max(1, round(width * scale)))
    file = io.BytesIO()
    Pillow.fromarray(to_pixels(small)).save(file, "JPEG", quality=85)
    return file.getvalue()


def to_pixels(image: Image) -> npt.NDArray[np.uint8]:
    """Rounds to uint8 (H, W, 3)."""
    pixels: npt.NDArray[np.uint8] = scratch.empty(image.shape, np.uint8)
    for rows in scratch.bands(*image.shape[:2]):
        band = np.rint(image[rows])
        pixels[rows] = np.clip(band, 0, 255, out=band)
    return pixels
