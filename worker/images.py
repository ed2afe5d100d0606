"""Photographs in, pictures out: any PNG, JPEG or WebP becomes sRGB numbers once, and a dream carries its recipe."""

import io
import json
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from shared.errors import ImageTooLarge, ImageUnreadable, UnsupportedImage
from shared.networks.catalog import LONGEST_SIDE
from shared.params import Format
from worker.dream.inputs import Mask
from worker.dream.postprocess import LUMA
from worker.dream.types import Image
from worker.png16 import write_png16

CONTENT_TYPES: dict[Format, str] = {
    "png": "image/png",
    "png16": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
RECIPE = "dreamqueue"  # the PNG text chunk that holds the recipe
PREVIEW_PX = 512  # the longer side
_BAND_ROWS = 256  # converted at a time, so that a picture is never held twice in floats
_WEBP_PX, _JPEG_PX = 16_383, 65_500  # the longest sides that the formats know
_IMAGE_DESCRIPTION = 0x010E  # EXIF tag
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_MADE_ON = slice(24, 36)  # of an ICC profile's header: six numbers of two bytes, year to second
_A_DAY = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # not this process's start: pictures don't depend on who made them


def decode(file: BinaryIO, *, max_pixels: int) -> Image:
    """The photograph as float32 (H, W, 3), RGB, 0..255: upright, in sRGB, alpha flattened onto white.

    Raises UnsupportedImage, ImageTooLarge (from the header, before decoding) or ImageUnreadable; none can be retried.
    """
    with _translated_errors(), _bombs_refused(max_pixels), Pillow.open(file, formats=("PNG", "JPEG", "WEBP")) as photo:
        width, height = photo.size
        if width * height > max_pixels:
            raise ImageTooLarge(f"The image has {width * height:,} pixels; at most {max_pixels:,} are accepted.")
        if getattr(photo, "is_animated", False):
            raise UnsupportedImage("The image is animated; a dream needs a single picture.")
        photo.load()
        profile = photo.info.get("icc_profile")
        upright = ImageOps.exif_transpose(photo)
    if upright.mode.startswith("I"):
        return _from_16_bit_gray(upright)
    return _to_float(_to_srgb(_flatten(upright), profile))


def encode(image: Image, file: BinaryIO, *, format: Format, recipe: Mapping[str, object]) -> None:  # noqa: A002
    """Writes the picture, tagged sRGB, the recipe in its metadata. The same bytes for the same input.

    8 bits a color, but for `png16`.

    image: float32 (H, W, 3), RGB, 0..255. Raises UnsupportedImage when the format can't hold so long a side.
    """
    longest = LONGEST_SIDE.get(format)
    if longest is not None and max(image.shape) > longest:
        raise UnsupportedImage(f"A {format} image can't have a side of more than {longest} pixels; ask for png.")
    profile = _srgb_tag()
    text = json.dumps(recipe, sort_keys=True)
    if format == "png16":
        write_png16(image, file, profile=profile, text={RECIPE: text})
        return
    picture = Pillow.fromarray(to_pixels(image))
    if format == "png":
        chunk = PngImagePlugin.PngInfo()
        chunk.add_itxt(RECIPE, text)
        picture.save(file, "PNG", icc_profile=profile, pnginfo=chunk, compress_level=4)  # 6 is twice as slow
        return
    exif = Pillow.Exif()
    exif[_IMAGE_DESCRIPTION] = text
    if format == "jpeg":
        picture.save(file, "JPEG", icc_profile=profile, exif=exif, quality=95, subsampling=0)
    else:
        picture.save(file, "WEBP", icc_profile=profile, exif=exif, quality=92)


def mask_of(image: Image) -> Mask:
    """A decoded picture as a mask: (height, width), 1 where it is white."""
    gray: Mask = np.asarray(cv2.transform(image, LUMA), np.float32)
    gray /= 255
    return gray


def gradient_picture(gradient: Image) -> bytes:
    """A PNG of a gradient: gray is nothing, three standard deviations either way are black and white."""
    spread = float(gradient.std()) or 1.0
    file = io.BytesIO()
    Pillow.fromarray(to_pixels(127.5 + gradient * np.float32(127.5 / (3 * spread)))).save(file, "PNG")
    return file.getvalue()


def _srgb_tag() -> bytes:
    profile = bytearray(_SRGB.tobytes())
    profile[_MADE_ON] = _A_DAY
    return bytes(profile)


def preview(image: Image) -> bytes:
    """A small JPEG of the picture so far. Pixels beyond 0..255, as within an octave, are clipped."""
    height, width, _ = image.shape
    scale = min(1.0, PREVIEW_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    file = io.BytesIO()
    Pillow.fromarray(to_pixels(small)).save(file, "JPEG", quality=85)  # type: ignore[arg-type]
    return file.getvalue()


def to_pixels(image: Image) -> npt.NDArray[np.uint8]:
    """Rounded to uint8 (H, W, 3): the only place where a dream is."""
    pixels = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _BAND_ROWS):
        band = np.rint(image[top : top + _BAND_ROWS])
        pixels[top : top + _BAND_ROWS] = np.clip(band, 0, 255, out=band)
    return pixels


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError as exc:
        raise UnsupportedImage from exc
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as exc:
        raise ImageTooLarge from exc
    except Warning as exc:
        raise ImageUnreadable(f"The image is damaged ({str(exc).strip(' .')}).") from exc
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as exc:  # what Pillow's decoders raise
        raise ImageUnreadable(f"The image can't be read: {exc}.") from exc


@contextmanager
def _bombs_refused(max_pixels: int) -> Iterator[None]:
    # Pillow warns above its limit and raises only at twice that; here both refuse.
    before, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # as the api does, which reads the same header
            yield
    finally:
        Pillow.MAX_IMAGE_PIXELS = before


def _flatten(picture: Pillow.Image) -> Pillow.Image:
    """Without palette and alpha; L, RGB or CMYK remain."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Pillow.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        return white
    return picture if picture.mode in {"L", "RGB", "CMYK"} else picture.convert("RGB")


def _to_srgb(picture: Pillow.Image, profile: bytes | None) -> Pillow.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if (converted := ImageCms.profileToProfile(picture, source, _SRGB, outputMode="RGB")) is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that is damaged or of another color space: most such pictures are sRGB after all
    return picture.convert("RGB")


def _to_float(picture: Pillow.Image) -> Image:
    width, height = picture.size
    image = np.empty((height, width, 3), np.float32)
    for top in range(0, height, _BAND_ROWS):
        image[top : top + _BAND_ROWS] = np.asarray(picture.crop((0, top, width, min(top + _BAND_ROWS, height))))
    return image


def _from_16_bit_gray(picture: Pillow.Image) -> Image:
    gray = np.asarray(picture, np.float32) / 257  # 65535 -> 255
    return np.repeat(np.clip(gray, 0, 255)[..., None], 3, axis=2)
