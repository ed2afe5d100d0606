"""Decodes pixels, format by format. The header has been read and metadata removed before."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO

import cv2
import imagecodecs
import numpy as np
from PIL import Image as Pillow
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from shared.errors import UnsupportedImage
from shared.images.formats.gif import GifHeader
from shared.images.formats.heif import Crop, HeifHeader, Transform, Turn
from shared.images.formats.jpeg import JpegHeader
from shared.images.formats.jxl import JxlHeader
from shared.images.formats.plain import pixels_only
from shared.images.formats.png import PngHeader
from shared.images.formats.tiff import TiffHeader
from shared.images.formats.webp import WebpHeader
from shared.images.header import Header
from worker.images.large import decode_large, is_large
from worker.images.raster import Raster, Samples, scaled
from worker.images.tiff import decode_tiff

# Each plugin's class, not Pillow.open: that would guess among all formats and hold its own opinion on large images.
Open = Callable[[BinaryIO], Pillow.Image]


def decode_pixels(file: BinaryIO, header: Header) -> Raster:
    """Returns the picture as it is stored, before its orientation. Raises whatever the decoder does on damaged data."""
    large = decode_large(file, header) if is_large(header.size) else None
    raster = _DECODERS[type(header)](file, header) if large is None else _of_array(large)
    if raster.size != header.size:
        held, expected = (f"{width} x {height}" for width, height in (raster.size, header.size))
        raise ValueError(f"it holds {held} pixels and its header says {expected}")
    return raster


def _jpeg(file: BinaryIO, header: JpegHeader) -> Raster:
    plain = pixels_only(file, header)
    if header.bits == 12:
        return _of_array(scaled(imagecodecs.jpeg_decode(plain.read(), bitspersample=12), 12))
    return _of_pillow(plain, JpegImageFile)


def _of_pillow(file: BinaryIO, opened: Open) -> Raster:
    with opened(file) as picture:
        picture.load()
        return _of_picture(picture)


def _of_picture(picture: Pillow.Image) -> Raster:
    if picture.mode == "CMYK":
        return Raster(samples=np.asarray(picture), space="cmyk")
    if picture.has_transparency_data:
        both = np.asarray(picture.convert("RGBA"))
        return Raster(samples=both[..., :3], space="rgb", alpha=both[..., 3])
    if picture.mode in {"1", "L"}:
        return Raster(samples=np.asarray(picture.convert("L")), space="gray")
    return Raster(samples=np.asarray(picture.convert("RGB")), space="rgb")


def _of_array(array: Samples) -> Raster:
    """Splits (H, W) or (H, W, 1 to 4) into gray or rgb, and alpha. Takes floats for 0 to 1."""
    if array.dtype.kind == "f":
        array = np.rint(np.clip(array, 0, 1) * 65535).astype(np.uint16)
    if array.ndim == 2:
        return Raster(samples=array, space="gray")
    channels = array.shape[2]
    alpha = array[..., -1] if channels in {2, 4} else None
    if channels < 3:
        return Raster(samples=array[..., 0], space="gray", alpha=alpha)
    return Raster(samples=array[..., :3], space="rgb", alpha=alpha)


def _png(file: BinaryIO, header: PngHeader) -> Raster:
    if header.bits < 16:
        return _of_pillow(pixels_only(file, header), PngImageFile)
    # Pillow has no mode for it. The decoder does not know a transparent color either: it is taken out and applied here.
    data = pixels_only(file, replace(header, transparency=None)).read()
    raster = _of_array(_by_opencv(data) if header.interlaced else imagecodecs.png_decode(data))
    if header.transparency is None:
        return raster
    file.seek(header.transparency.at)
    color = np.frombuffer(file.read(2 if header.color_type == 0 else 6), ">u2")
    shown = raster.samples != color if header.color_type == 0 else (raster.samples != color).any(axis=2)
    return Raster(samples=raster.samples, space=raster.space, alpha=shown.astype(np.uint8) * np.uint8(255))


def _by_opencv(data: bytes) -> Samples:
    """Returns a PNG of 16 bits; imagecodecs writes a warning to stderr for each that is interlaced."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError("its pixels are damaged")
    if found.ndim == 2:
        return found
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB if found.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def _webp(file: BinaryIO, header: WebpHeader) -> Raster:
    return _placed(_of_pillow(pixels_only(file, header), WebPImageFile), header)


def _gif(file: BinaryIO, header: GifHeader) -> Raster:
    return _placed(_of_pillow(pixels_only(file, header), GifImageFile), header)


def _placed(raster: Raster, header: WebpHeader | GifHeader) -> Raster:
    """Returns an animation's first frame on its canvas; around it, the canvas is transparent."""
    if header.frame == header.size:
        return raster
    (width, height), (left, top) = header.size, header.offset
    across, down = slice(left, left + header.frame[0]), slice(top, top + header.frame[1])
    samples = np.zeros((height, width, *raster.samples.shape[2:]), raster.samples.dtype)
    samples[down, across] = raster.samples
    alpha = np.zeros((height, width), np.uint8)
    alpha[down, across] = 255 if raster.alpha is None else raster.alpha
    return Raster(samples=samples, space=raster.space, alpha=alpha)


def _heif(file: BinaryIO, header: HeifHeader) -> Raster:
    plain = pixels_only(file, header)
    return _heic(plain) if header.format == "heic" else _avif(plain, header)


def _heic(plain: BinaryIO) -> Raster:
    """Decodes a HEIC; its decoder applies the transforms."""
    try:
        import pillow_heif  # noqa: PLC0415 - an extra: see DECISIONS.md
    except ImportError as exc:
        raise UnsupportedImage("This worker can't read HEIC: pillow-heif is not installed. Send a JPEG.") from exc
    found = pillow_heif.open_heif(plain, convert_hdr_to_8bit=False)
    raster = _of_array(np.asarray(found))
    return _divided(raster) if "a" in found.mode else raster


def _avif(plain: BinaryIO, header: HeifHeader) -> Raster:
    raster = _deep_avif(plain, header.bits) if header.bits > 8 else None
    if raster is None:
        plain.seek(0)
        raster = _of_pillow(plain, AvifImageFile)
    alpha = raster.alpha
    for transform in header.transforms:
        raster = Raster(samples=_transformed(raster.samples, transform), space=raster.space, alpha=alpha)
        alpha = None if alpha is None else _transformed(alpha, transform)
    return Raster(samples=raster.samples, space=raster.space, alpha=alpha)


def _deep_avif(plain: BinaryIO, bits: int) -> Raster | None:
    """Decodes with all bits. None for files that this decoder rejects: Pillow reads them, but rounds to 8 bits."""
    try:
        return _of_array(scaled(imagecodecs.avif_decode(plain.read(), index=0), bits))
    except imagecodecs.AvifError:
        return None


def _jxl(file: BinaryIO, header: JxlHeader) -> Raster:
    numbers: Samples = imagecodecs.jpegxl_decode(pixels_only(file, header).read(), index=0)
    return _of_array(scaled(numbers, header.bits) if numbers.dtype == np.uint16 else numbers)


def _transformed(array: Samples, transform: Transform) -> Samples:
    if isinstance(transform, Crop):
        return array[
            transform.top : transform.top + transform.height, transform.left : transform.left + transform.width
        ]
    return np.rot90(array, transform.steps) if isinstance(transform, Turn) else np.flip(array, transform.axis)


def _divided(raster: Raster) -> Raster:
    """Returns the picture with premultiplied colors divided by their alpha."""
    if raster.alpha is None:
        return raster
    full = np.iinfo(raster.samples.dtype).max
    alpha = np.maximum(raster.alpha, 1).astype(np.float32)[..., None]
    samples = raster.samples if raster.samples.ndim == 3 else raster.samples[..., None]
    divided = np.minimum(np.rint(samples * (full / alpha)), full).astype(raster.samples.dtype)
    return Raster(samples=divided.reshape(raster.samples.shape), space=raster.space, alpha=raster.alpha)


_DECODERS: dict[type[Header], Callable[[BinaryIO, Any], Raster]] = {
    JpegHeader: _jpeg,
    PngHeader: _png,
    WebpHeader: _webp,
    GifHeader: _gif,
    TiffHeader: decode_tiff,
    HeifHeader: _heif,
    JxlHeader: _jxl,
}
