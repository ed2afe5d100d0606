"""Decodes large PNGs, JPEGs and TIFFs straight into arrays that may be in files, with no second copy of the pixels."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import imagecodecs

from shared.images.formats.jpeg import JpegHeader
from shared.images.formats.plain import pixels_only
from shared.images.formats.png import PngHeader
from shared.images.header import Header, Size
from worker.dream import scratch
from worker.images.raster import Samples

LARGE_PX = 64_000_000  # the others are decoded in memory, which allows more kinds of files
PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by color type; palettes are decoded in memory


def is_large(size: Size) -> bool:
    return size[0] * size[1] > LARGE_PX


def decode_large(file: BinaryIO, header: Header) -> Samples | None:
    """Returns (H, W) or (H, W, channels); None for what only the usual way decodes, which takes more memory."""
    if isinstance(header, JpegHeader) and header.bits == 8 and header.components < 4:
        return _decoded(file, header, header.components, imagecodecs.jpeg8_decode)
    if isinstance(header, PngHeader) and header.bits >= 8 and not header.interlaced and header.transparency is None:
        channels = PNG_CHANNELS.get(header.color_type)
        return None if channels is None else _decoded(file, header, channels, imagecodecs.png_decode)
    return None


@contextmanager
def plain_file(file: BinaryIO, header: Header) -> Iterator[BinaryIO]:
    """Opens the coded picture alone: for a large picture in a temporary file, else in memory."""
    if not is_large(header.size):
        yield pixels_only(file, header)
        return
    with tempfile.TemporaryFile() as into, scratch.releasing():
        pixels_only(file, header, into)
        yield into


def _decoded(file: BinaryIO, header: JpegHeader | PngHeader, channels: int, decode: Callable[..., Samples]) -> Samples:
    width, height = header.size
    shape = (height, width) if channels == 1 else (height, width, channels)
    samples = scratch.empty(shape, "u2" if header.bits == 16 else "u1")
    with plain_file(file, header) as plain:
        plain.flush()
        decode(scratch.contents(plain), out=samples)
    return samples
