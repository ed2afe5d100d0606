"""Reads a PNG's header, chunk by chunk. Of an animation the default image counts, which every viewer shows.

Source: W3C PNG, third edition.
"""

import zlib
from dataclasses import dataclass, field

from shared.errors import ImageUnreadable, UnsupportedImage
from shared.images.exif import MAX_BLOCK_BYTES, orientation_of
from shared.images.header import CUT_OFF, FIRST_FRAME, Colors, Header, Size, Span, checked_size
from shared.images.reader import Reader

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}  # by color type
DAMAGED = "The image can't be read: the PNG's header is damaged."


@dataclass(frozen=True, kw_only=True)
class PngHeader(Header):
    bits: int  # per sample
    color_type: int
    interlaced: bool
    palette: Span | None
    transparency: Span | None  # the body of tRNS
    pixels: tuple[Span, ...]  # the bodies of IDAT


@dataclass
class _Found:
    palette: Span | None = None
    transparency: Span | None = None
    pixels: list[Span] = field(default_factory=list)
    profile: Span | None = None
    code_points: tuple[int, int] | None = None
    exif: Span | None = None
    animated: bool = False
    notes: list[str] = field(default_factory=list)


def read_png(reader: Reader) -> PngHeader:
    size, bits, color_type, interlaced = _ihdr(reader)
    found = _Found()
    at = 33
    while True:
        reader.step()
        length, name = reader.number(at, 4), reader.read(at + 4, 4)
        body = Span(at + 8, length)
        at += 12 + length
        if at > reader.size:
            raise ImageUnreadable(CUT_OFF)
        if name == b"IEND":
            break
        _chunk(reader, name, body, found)
    if not any(span.size for span in found.pixels):
        raise ImageUnreadable("The image can't be read: the PNG holds no pixels.")
    if color_type == 3 and found.palette is None:
        raise ImageUnreadable("The image can't be read: the PNG lacks its palette.")
    orientation, note = 1, None
    if found.exif:
        orientation, note = orientation_of(reader.up_to(found.exif.at, min(found.exif.size, MAX_BLOCK_BYTES)))
    notes = [*found.notes, *([note] if note else []), *([FIRST_FRAME] if found.animated else [])]
    return PngHeader(
        format="png",
        size=size,
        orientation=orientation,
        colors=_colors(found),
        notes=tuple(notes),
        bits=bits,
        color_type=color_type,
        interlaced=interlaced,
        palette=found.palette,
        transparency=_transparency(found, color_type),
        pixels=tuple(found.pixels),
    )


def _transparency(found: _Found, color_type: int) -> Span | None:
    needed = {0: 2, 2: 6, 3: 1}.get(color_type)
    return found.transparency if found.transparency and needed and found.transparency.size >= needed else None


def _ihdr(reader: Reader) -> tuple[Size, int, int, bool]:
    data = reader.read(8, 25)
    if data[:8] != b"\0\0\0\x0dIHDR" or zlib.crc32(data[4:21]) != int.from_bytes(data[21:], "big"):
        raise ImageUnreadable(DAMAGED)
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12))
    bits, color_type, compression, filtering, interlace = data[16:21]
    if bits not in DEPTHS.get(color_type, ()) or compression or filtering or interlace > 1:
        raise ImageUnreadable(DAMAGED)
    if max(width, height) >= 2**31:
        raise ImageUnreadable(DAMAGED)
    return checked_size(width, height), bits, color_type, bool(interlace)


def _chunk(reader: Reader, name: bytes, body: Span, found: _Found) -> None:  # noqa: C901 - one branch per kind
    whole = Span(body.at - 8, body.size + 12)
    if name == b"IDAT":
        found.pixels.append(body)
    elif name == b"PLTE":
        if body.size % 3 or not 3 <= body.size <= 768 or not _is_intact(reader, whole):
            raise ImageUnreadable(DAMAGED)
        found.palette = found.palette or body
    elif name == b"tRNS" and not found.pixels:
        if body.size <= 256 and _is_intact(reader, whole):
            found.transparency = body
        else:
            found.notes.append("The transparency is damaged; it is ignored.")
    elif name == b"iCCP":
        name_end = reader.up_to(body.at, min(body.size, 80)).find(b"\0")
        if name_end >= 0 and body.size > name_end + 2:
            found.profile = found.profile or Span(body.at + name_end + 2, body.size - name_end - 2)
    elif name == b"cICP" and body.size == 4:
        primaries, transfer = reader.read(body.at, 2)
        found.code_points = primaries, transfer
    elif name == b"eXIf":
        found.exif = found.exif or body
    elif name == b"acTL":
        found.animated = True
    elif name[:1].isupper():
        raise UnsupportedImage("The PNG needs a feature that this service does not know.")


def _colors(found: _Found) -> Colors:
    if found.code_points:  # outweigh the profile
        return Colors(primaries=found.code_points[0], transfer=found.code_points[1])
    return Colors(profile=(found.profile,), deflated=True) if found.profile else Colors()


def _is_intact(reader: Reader, chunk: Span) -> bool:
    data = reader.read(chunk.at + 4, chunk.size - 4)
    return zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big")
