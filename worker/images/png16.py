"""Writes PNGs with 16 bits per channel, strip by strip, because Pillow can't. Source: ISO/IEC 15948."""

import struct
import zlib
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from worker.dream.types import Image
from worker.images.raster import Samples

_ROWS = 128  # at a time, so that the picture is never held twice
_UP = 2  # the filter: each byte less the one above it
_TRUECOLOR, _WITH_ALPHA = 2, 6


def write_png16(
    image: Image, file: BinaryIO, *, profile: bytes, text: Mapping[str, str], alpha: Samples | None = None
) -> None:
    """Writes the file.   image: float32 (H, W, 3), RGB, 0..255; 255 becomes 65535.   alpha: uint8 or uint16 (H, W).

    The same bytes for the same input.
    """
    height, width, _ = image.shape
    color_type, channels = (_TRUECOLOR, 3) if alpha is None else (_WITH_ALPHA, 4)
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))
    _chunk(file, b"iCCP", b"sRGB\0\0" + zlib.compress(profile))
    for key, value in text.items():
        _chunk(file, b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + value.encode())
    packer = zlib.compressobj(4)
    above = np.zeros(width * channels * 2, np.uint8)
    for top in range(0, height, _ROWS):
        numbers = np.rint(np.clip(image[top : top + _ROWS], 0, 255) * 257).astype(">u2")  # (rows, W, 3)
        if alpha is not None:
            numbers = np.concatenate([numbers, _sixteen_bits(alpha[top : top + _ROWS])], axis=2)  # (rows, W, 4)
        rows = numbers.reshape(len(numbers), -1).view(np.uint8)  # (rows, 2 C W)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = _UP
        filtered[:, 1:] = rows - np.concatenate([above[None], rows[:-1]])  # modulo 256
        above = rows[-1].copy()
        if packed := packer.compress(filtered.tobytes()):
            _chunk(file, b"IDAT", packed)
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _sixteen_bits(alpha: Samples) -> Samples:
    wide = alpha.astype(np.uint16) * 257 if alpha.dtype == np.uint8 else alpha
    return wide.astype(">u2")[..., None]


def _chunk(file: BinaryIO, name: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
