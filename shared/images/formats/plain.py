"""Removes metadata that no pixel depends on, for decoders and for the stored copy."""

import io
import struct
import zlib
from typing import BinaryIO

from shared.images.copying import copy
from shared.images.formats.gif import GifHeader
from shared.images.formats.heif import HeifHeader
from shared.images.formats.jpeg import JpegHeader
from shared.images.formats.png import SIGNATURE, PngHeader
from shared.images.formats.tiff import TiffHeader
from shared.images.formats.tiff_writer import write_tiff
from shared.images.formats.webp import WebpHeader
from shared.images.header import Header, Size, Span
from shared.images.profile import read_profile

SEGMENT_BYTES = 65_519  # of a profile in one JPEG segment: all it can hold, since a file has at most 255 of them
ALPHA, EXIF, ANIMATED, ICC = 0x10, 0x08, 0x02, 0x20  # bits of a WebP's VP8X
ALPHA_HINT = 1 << 28  # in the header of VP8L


def pixels_only(file: BinaryIO, header: Header, into: BinaryIO | None = None) -> BinaryIO:
    """Returns the coded picture alone, in the smallest file that holds it: `into`, or one in memory.

    It has one frame and neither profile, orientation nor canvas, so that decoders can't interpret those.
    """
    into = io.BytesIO() if into is None else into
    if isinstance(header, JpegHeader):
        _jpeg(file, header, into, b"")
    elif isinstance(header, PngHeader):
        _png(file, header, into, b"", b"")
    elif isinstance(header, WebpHeader):
        _webp(file, header, into, header.frame)
    elif isinstance(header, GifHeader):
        _gif(file, header, into, header.frame, (0, 0))
    elif isinstance(header, TiffHeader):
        write_tiff(file, header, into)
    else:
        _blank(file, (), into)
        _hide(header, into)
    into.seek(0)
    return into


def without_metadata(file: BinaryIO, header: Header, into: BinaryIO) -> None:
    """Writes the first picture with its profile and its orientation, and without anything else that the file holds."""
    profile, _ = read_profile(file, header.colors)
    exif = exif_of(header.orientation) if header.orientation != 1 else b""
    if isinstance(header, JpegHeader):
        _jpeg(file, header, into, _jpeg_segments(profile or b"", exif))
    elif isinstance(header, PngHeader):
        colors = _png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile)) if profile else b""
        if header.colors.primaries is not None:
            colors = _png_chunk(b"cICP", bytes([header.colors.primaries, header.colors.transfer or 0, 0, 1]))
        _png(file, header, into, colors, _png_chunk(b"eXIf", exif) if exif else b"")
    elif isinstance(header, WebpHeader):
        _webp(file, header, into, header.size, profile=profile or b"", exif=exif)
    elif isinstance(header, GifHeader):
        _gif(file, header, into, header.size, header.offset)
    elif isinstance(header, TiffHeader):
        write_tiff(file, header, into, profile=profile or b"", orientation=header.orientation)
    else:
        _blank(file, header.metadata, into)
        _hide(header, into)


def exif_of(orientation: int) -> bytes:
    """Returns an EXIF block that holds the orientation and nothing else."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def _jpeg(file: BinaryIO, header: JpegHeader, into: BinaryIO, segments: bytes) -> None:
    into.write(b"\xff\xd8" + segments)
    for span in header.head:
        copy(file, span, into)
    copy(file, Span(header.scan, header.end - header.scan), into)


def _jpeg_segments(profile: bytes, exif: bytes) -> bytes:
    pieces = [profile[at : at + SEGMENT_BYTES] for at in range(0, len(profile), SEGMENT_BYTES)]
    bodies = [(0xE1, b"Exif\0\0" + exif)] if exif else []
    bodies += [(0xE2, b"ICC_PROFILE\0" + bytes([at + 1, len(pieces)]) + piece) for at, piece in enumerate(pieces)]
    return b"".join(struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body for marker, body in bodies)


def _png(file: BinaryIO, header: PngHeader, into: BinaryIO, colors: bytes, exif: bytes) -> None:
    into.write(SIGNATURE)
    copy(file, Span(8, 25), into)
    into.write(colors)
    for body in (header.palette, header.transparency):
        if body:
            copy(file, Span(body.at - 8, body.size + 12), into)
    into.write(exif)
    for body in header.pixels:
        copy(file, Span(body.at - 8, body.size + 12), into)
    into.write(_png_chunk(b"IEND", b""))


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _webp(
    file: BinaryIO, header: WebpHeader, into: BinaryIO, canvas: Size, *, profile: bytes = b"", exif: bytes = b""
) -> None:
    picture = [(b"ALPH", header.alpha)] if header.alpha else []
    picture += [(b"VP8L" if header.lossless else b"VP8 ", header.coded)]
    animated = canvas != header.frame  # only an animation places its picture
    flags = ALPHA * _has_alpha(file, header) | EXIF * bool(exif) | ICC * bool(profile) | ANIMATED * animated
    head = b""
    if flags & ~ALPHA or header.alpha:
        head = _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + _u24(canvas[0] - 1) + _u24(canvas[1] - 1))
    head += _chunk(b"ICCP", profile) if profile else b""
    pixels = sum(8 + span.size + span.size % 2 for _, span in picture)
    if animated:
        numbers = (header.offset[0] // 2, header.offset[1] // 2, header.frame[0] - 1, header.frame[1] - 1, 0)
        frame = b"".join(map(_u24, numbers)) + b"\0"
        head += _chunk(b"ANIM", bytes(6)) + b"ANMF" + struct.pack("<I", len(frame) + pixels) + frame
    tail = _chunk(b"EXIF", exif) if exif else b""
    into.write(b"RIFF" + struct.pack("<I", 4 + len(head) + pixels + len(tail)) + b"WEBP" + head)
    for name, span in picture:
        into.write(name + struct.pack("<I", span.size))
        copy(file, span, into)
        into.write(b"\0" * (span.size % 2))
    into.write(tail)


def _has_alpha(file: BinaryIO, header: WebpHeader) -> bool:
    if not header.lossless:
        return header.alpha is not None
    file.seek(header.coded.at + 1)
    return bool(int.from_bytes(file.read(4), "little") & ALPHA_HINT)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _u24(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _gif(file: BinaryIO, header: GifHeader, into: BinaryIO, canvas: Size, offset: Size) -> None:
    into.write(b"GIF89a" + struct.pack("<HHBBB", *canvas, 0, 0, 0))
    if header.transparent is not None:
        into.write(b"!\xf9\x04" + struct.pack("<BHBB", 1, 0, header.transparent, 0))
    palette = header.palette or Span(0, 0)
    colors = (palette.size // 3).bit_length() - 2
    into.write(b"," + struct.pack("<HHHHB", *offset, *header.frame, 0x80 | 0x40 * header.interlaced | colors))
    for span in (palette, header.coded):
        copy(file, span, into)
    into.write(b";")


def _blank(file: BinaryIO, spans: tuple[Span, ...], into: BinaryIO) -> None:
    """Returns the same file with these bytes zero: where others point behind them, they can't be taken out."""
    at, end = 0, file.seek(0, io.SEEK_END)
    for span in sorted(spans, key=lambda span: span.at):
        if span.at >= at:
            copy(file, Span(at, span.at - at), into)
        into.write(bytes(max(0, span.end - max(at, span.at))))
        at = max(at, span.end)
    copy(file, Span(at, end - at), into)


def _hide(header: Header, into: BinaryIO) -> None:
    """Gives the metadata and the sequence of a HEIF file names that decoders ignore."""
    for at, name in header.hidden if isinstance(header, HeifHeader) else ():
        into.seek(at)
        into.write(name)
    into.seek(0, io.SEEK_END)
