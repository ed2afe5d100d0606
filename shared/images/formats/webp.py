"""Reads a WebP's header, chunk by chunk. Of an animation the first frame counts.

What the pixels' own chunk says of their size outweighs the flags and the canvas in front of it.
Source: RFC 9649, sections 2.5 to 2.7.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import ImageUnreadable
from shared.images.exif import MAX_BLOCK_BYTES, orientation_of
from shared.images.header import CUT_OFF, FIRST_FRAME, Colors, Header, Size, Span, checked_size
from shared.images.reader import Reader

PIXELS = {b"VP8 ", b"VP8L", b"ALPH", b"ANMF"}
NO_PICTURE = "The image can't be read: the WebP file holds no picture."
DAMAGED = "The image can't be read: the WebP's header is damaged."


@dataclass(frozen=True, kw_only=True)
class WebpHeader(Header):
    coded: Span  # the body of VP8 or VP8L
    lossless: bool
    alpha: Span | None  # the body of ALPH
    frame: Size  # of the coded picture, which an animation places on its canvas
    offset: Size  # from the left and from the top


@dataclass
class _Picture:
    coded: Span | None = None
    lossless: bool = False
    alpha: Span | None = None


def read_webp(reader: Reader) -> WebpHeader:
    announced = 8 + reader.number(4, 4, "little")
    if announced > reader.size:
        raise ImageUnreadable(CUT_OFF)
    picture, canvas, offset = _Picture(), None, (0, 0)
    profile: tuple[Span, ...] = ()
    exif: Span | None = None
    notes = []
    for name, body in _chunks(reader, 12, announced):
        if name == b"VP8X":
            canvas = _u24(reader, body.at + 4) + 1, _u24(reader, body.at + 7) + 1
        elif name == b"ANMF" and picture.coded is None:
            offset = 2 * _u24(reader, body.at), 2 * _u24(reader, body.at + 3)
            notes.append(FIRST_FRAME)
            for inner, part in _chunks(reader, body.at + 16, body.end):
                _take(picture, inner, part)
        elif name == b"ICCP":
            profile = profile or (body,)
        elif name == b"EXIF":
            exif = exif or body
        else:
            _take(picture, name, body)
    if picture.coded is None:
        raise ImageUnreadable(NO_PICTURE)
    frame = (_lossless if picture.lossless else _lossy)(reader, picture.coded)
    orientation, note = orientation_of(reader.up_to(exif.at, min(exif.size, MAX_BLOCK_BYTES))) if exif else (1, None)
    return WebpHeader(
        format="webp",
        size=_canvas(canvas, frame, offset) if notes else frame,
        orientation=orientation,
        colors=Colors(profile=profile),
        notes=(*notes, *([note] if note else [])),
        coded=picture.coded,
        lossless=picture.lossless,
        alpha=None if picture.lossless else picture.alpha,
        frame=frame,
        offset=offset,
    )


def _take(picture: _Picture, name: bytes, body: Span) -> None:
    if picture.coded is not None:
        return
    if name in {b"VP8 ", b"VP8L"}:
        picture.coded, picture.lossless = body, name == b"VP8L"
    elif name == b"ALPH":
        picture.alpha = body


def _canvas(canvas: Size | None, frame: Size, offset: Size) -> Size:
    if canvas is None or any(place + side > whole for place, side, whole in zip(offset, frame, canvas, strict=True)):
        raise ImageUnreadable(DAMAGED)
    return canvas


def _chunks(reader: Reader, at: int, end: int) -> Iterator[tuple[bytes, Span]]:
    while at + 8 <= end:
        reader.step()
        name, size = reader.read(at, 4), reader.number(at + 4, 4, "little")
        body = Span(at + 8, size)
        if body.end > end:
            if name in PIXELS:
                raise ImageUnreadable(CUT_OFF)
            return
        yield name, body
        at = body.end + size % 2


def _lossy(reader: Reader, coded: Span) -> Size:
    data = reader.up_to(coded.at, min(coded.size, 10))
    if len(data) < 10 or data[0] & 1 or data[3:6] != b"\x9d\x01\x2a":  # a key frame
        raise ImageUnreadable(DAMAGED)
    tag = int.from_bytes(data[:3], "little")
    if tag >> 1 & 7 > 3 or not tag >> 4 & 1 or 10 + (tag >> 5) > coded.size:
        raise ImageUnreadable(DAMAGED)
    return checked_size(*(int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8)))


def _lossless(reader: Reader, coded: Span) -> Size:
    data = reader.up_to(coded.at, min(coded.size, 5))
    bits = int.from_bytes(data[1:5], "little")
    if len(data) < 5 or data[0] != 0x2F or bits >> 29:
        raise ImageUnreadable(DAMAGED)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _u24(reader: Reader, at: int) -> int:
    return reader.number(at, 3, "little")
