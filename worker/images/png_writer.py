"""Writes PNGs strip by strip: with 16 bits per channel, which Pillow can't, and large ones. Source: ISO/IEC 15948."""

import struct
import zlib
from collections.abc import Mapping
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from worker.dream import scratch
from worker.dream.types import Image
from worker.images.raster import Samples

_ROWS = 128  # at a time, so that the picture is never held twice
_UP = 2  # the filter: each byte less the one above it
_TRUECOLOR, _WITH_ALPHA = 2, 6


def write_png(
    image: Image,
    file: BinaryIO,
    *,
    bits: Literal[8, 16],
    profile: bytes = b"",
    text: Mapping[str, str] | None = None,
    alpha: Samples | None = None,
) -> None:
    """Writes the file.   image: float32 (H, W, 3), RGB, 0..255.   bits: per channel.   alpha: uint8 or uint16 (H, W).

    The same bytes for the same input.
    """
    height, width, _ = image.shape
    color_type, channels = (_TRUECOLOR, 3) if alpha is None else (_WITH_ALPHA, 4)
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0))
    if profile:
        _chunk(file, b"iCCP", b"sRGB\0\0" + zlib.compress(profile))
    for key, value in (text or {}).items():
        _chunk(file, b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + value.encode())
    packer = zlib.compressobj(4)
    above = np.zeros(width * channels * bits // 8, np.uint8)
    for top in range(0, height, _ROWS):
        numbers = with_bits(np.clip(image[top : top + _ROWS], 0, 255), bits)  # (rows, W, 3)
        if alpha is not None:
            numbers = np.concatenate([numbers, with_bits(alpha[top : top + _ROWS], bits)[..., None]], axis=2)
        rows = numbers.astype(f">u{bits // 8}").reshape(len(numbers), -1).view(np.uint8)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = _UP
        filtered[:, 1:] = rows - np.concatenate([above[None], rows[:-1]])  # modulo 256
        above = rows[-1].copy()
        if packed := packer.compress(filtered.tobytes()):
            _chunk(file, b"IDAT", packed)
        scratch.release()
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def with_bits(values: npt.NDArray[np.float32] | Samples, bits: Literal[8, 16]) -> Samples:
    """Converts floats of 0..255, uint8 or uint16 to whole numbers of that many bits."""
    if values.dtype == f"u{bits // 8}":
        return values
    if bits == 16:
        return np.rint(values * np.float32(257)).astype(np.uint16)
    eight = np.rint(values / np.float32(257) if values.dtype == np.uint16 else values)
    return eight.astype(np.uint8)


def _chunk(file: BinaryIO, name: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
