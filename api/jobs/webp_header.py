"""A WebP file's header, chunk by chunk. Pillow would read the whole file and allocate the whole canvas for this."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from shared.errors import ImageUnreadable, UnsupportedImage

MAX_CHUNKS = 1000  # a still picture has about six
MAX_METADATA_BYTES = 1 << 20
ANIMATED = 0x02  # a bit of VP8X's flags


@dataclass(frozen=True, kw_only=True)
class WebpHeader:
    width: int
    height: int
    exif: bytes | None
    xmp: bytes | None


def read_webp(file: BinaryIO) -> WebpHeader:
    """The header of a still WebP picture. Raises ImageUnreadable or UnsupportedImage.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    size: tuple[int, int] | None = None
    metadata: dict[bytes, bytes] = {}
    coded = False
    for name, body in _chunks(file):
        if name == b"VP8X":
            if body[0] & ANIMATED:
                raise UnsupportedImage("Animated images can't be dreamed; send one frame.")
            size = _u24(body[4:]) + 1, _u24(body[7:]) + 1
        elif name == b"VP8 ":
            size, coded = size or _lossy(body), True
        elif name == b"VP8L":
            size, coded = size or _lossless(body), True
        elif name in {b"EXIF", b"XMP "}:
            metadata.setdefault(name, body)
    if size is None or not coded:
        raise ImageUnreadable("The WebP file holds no picture.")
    return WebpHeader(width=size[0], height=size[1], exif=metadata.get(b"EXIF"), xmp=metadata.get(b"XMP "))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk's name and its body, of pixel data only the first bytes."""
    end = file.seek(0, io.SEEK_END)
    file.seek(4)
    announced = 8 + int.from_bytes(file.read(4), "little")
    if announced > end:
        raise ImageUnreadable("The image is cut off: the file ends before the picture does.")
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > announced:
            return
        file.seek(at)
        name, length = file.read(4), int.from_bytes(file.read(4), "little")
        at += 8 + length + length % 2
        if at > announced + 1:  # some writers leave the last padding byte out
            raise ImageUnreadable("The image is cut off: one of its parts is longer than the file.")
        wanted = MAX_METADATA_BYTES if name in {b"EXIF", b"XMP "} else 16
        yield name, file.read(min(length, wanted))
    raise ImageUnreadable("The WebP file has more parts than any picture needs.")


def _lossy(body: bytes) -> tuple[int, int]:
    if body[3:6] != b"\x9d\x01\x2a":
        raise ImageUnreadable("The WebP picture has no valid header.")
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _lossless(body: bytes) -> tuple[int, int]:
    if body[:1] != b"\x2f":
        raise ImageUnreadable("The WebP picture has no valid header.")
    bits = int.from_bytes(body[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _u24(body: bytes) -> int:
    return int.from_bytes(body[:3], "little")
