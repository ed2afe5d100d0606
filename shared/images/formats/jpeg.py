"""Reads a JPEG's header. In a file with several pictures (MPO, Ultra HDR, depth maps) the first counts: the others, and
the index of them, are not looked at.

Source: ITU-T T.81, annex B.
"""

import re
from dataclasses import dataclass, field

from shared.errors import ImageUnreadable, UnsupportedImage
from shared.images.exif import orientation_of
from shared.images.header import CUT_OFF, Colors, Header, Size, Span, checked_size
from shared.images.reader import Reader

CODINGS = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive, and the last two with arithmetic coding
FRAMES = {marker for marker in range(0xC0, 0xD0) if marker not in {0xC4, 0xC8, 0xCC}}
TABLES = {0xC4, 0xCC, 0xDB, 0xDD}  # Huffman, arithmetic, quantization, restart interval
ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a segment
SOI, EOI, SOS, APP1, APP2 = 0xD8, 0xD9, 0xDA, 0xE1, 0xE2
NEEDED = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}  # they say how the colors are coded
MAX_TABLES = 256
MAX_FILL_BYTES = 64 << 10  # between two segments; FF may be repeated, and some writers leave a few bytes over
FILL_BYTES_PER_STEP = 512
MARKER = re.compile(rb"\xff([^\x00\xff])")
SEGMENT = re.compile(rb"\xff[\xc4\xcc\xda\xdb\xdd\xe0-\xef\xfe]")
MAX_SEGMENT_BYTES = 2 + 65_535
PROFILE = b"ICC_PROFILE\0"
DAMAGED = "The image can't be read: the JPEG's header is damaged."


@dataclass(frozen=True, kw_only=True)
class JpegHeader(Header):
    bits: int  # per sample
    components: int  # 1: gray, 3: color, 4: CMYK
    head: tuple[Span, ...]  # the segments that decoding needs
    scan: int  # where the first scan's segment begins
    end: int  # behind the picture's end marker


@dataclass
class _Found:
    size: Size | None = None
    bits: int = 8
    components: dict[int, int] = field(default_factory=dict)  # to the quantization table
    quantization: set[int] = field(default_factory=set)
    head: list[Span] = field(default_factory=list)
    profile: dict[int, Span] = field(default_factory=dict)
    profile_pieces: int = 0
    orientation: int | None = None
    notes: list[str] = field(default_factory=list)


def read_jpeg(reader: Reader) -> JpegHeader:
    found = _Found()
    at = 2
    while True:
        reader.step()
        marker, at = _next_marker(reader, at)
        if marker in ALONE:
            continue
        if marker in {EOI, SOI}:
            raise ImageUnreadable("The image can't be read: the JPEG ends before its picture begins.")
        size = reader.number(at, 2)
        if size < 2:
            raise ImageUnreadable(DAMAGED)
        if marker == SOS:
            break
        _segment(reader, marker, Span(at - 2, 2 + size), found)
        at += size
    return _header(reader, found, scan=at - 2, data=at + size)


def _next_marker(reader: Reader, at: int) -> tuple[int, int]:
    """Returns the next marker's second byte and where its segment begins.

    Skips fill bytes and what lies between segments.
    """
    two = reader.read(at, 2)
    if two[0] == 0xFF and two[1] not in {0x00, 0xFF}:
        return two[1], at + 2
    found = MARKER.search(reader.up_to(at, MAX_FILL_BYTES))
    if found is None:
        raise ImageUnreadable("The image can't be read: the JPEG's header is damaged or cut off.")
    reader.step(found.end() / FILL_BYTES_PER_STEP)
    return found[1][0], at + found.end()


def _segment(reader: Reader, marker: int, span: Span, found: _Found) -> None:
    body = Span(span.at + 4, span.size - 4)
    if marker in FRAMES:
        _frame(reader, marker, body, found)
        found.head.append(span)
    elif marker in TABLES:
        if len(found.head) >= MAX_TABLES:
            raise ImageUnreadable("The image file has more parts than any picture needs.")
        if marker == 0xDB:
            _quantization(reader.read(body.at, body.size), found)
        found.head.append(span)
    elif body.size >= 12 and reader.up_to(body.at, 5) == NEEDED.get(marker):
        found.head.append(span)
    elif marker == APP1 and found.orientation is None and reader.up_to(body.at, 6) == b"Exif\0\0":
        found.orientation, note = orientation_of(reader.read(body.at, body.size))
        found.notes += [note] if note else []
    elif marker == APP2 and body.size > 14 and reader.up_to(body.at, 12) == PROFILE:
        number, pieces = reader.read(body.at + 12, 2)
        found.profile.setdefault(number, Span(body.at + 14, body.size - 14))
        found.profile_pieces = pieces


def _frame(reader: Reader, marker: int, body: Span, found: _Found) -> None:
    if marker not in CODINGS:
        raise UnsupportedImage("This kind of JPEG (lossless or hierarchical) is not supported; save it as a usual one.")
    if found.size:
        raise ImageUnreadable(DAMAGED)
    data = reader.read(body.at, body.size)
    bits, height, width, count = data[0], *(int.from_bytes(data[at : at + 2], "big") for at in (1, 3)), data[5]
    components = [data[6 + 3 * index : 9 + 3 * index] for index in range(count)]
    if count not in {1, 3, 4} or body.size != 6 + 3 * count:
        raise ImageUnreadable(DAMAGED)
    if any(not (1 <= part[1] >> 4 <= 4 and 1 <= part[1] & 15 <= 4) for part in components):
        raise ImageUnreadable(DAMAGED)
    if bits not in {8, 12} or (bits == 12 and (marker != 0xC1 or count == 4)):
        raise UnsupportedImage("This kind of JPEG (neither 8 nor 12 bits a color) is not supported.")
    if height == 0:
        raise UnsupportedImage("This kind of JPEG (its height follows the image data) is not supported.")
    found.size, found.bits = checked_size(width, height), bits
    found.components = {part[0]: part[2] for part in components}


def _quantization(data: bytes, found: _Found) -> None:
    at = 0
    while at < len(data):
        found.quantization.add(data[at] & 15)
        at += 129 if data[at] >> 4 else 65
    if at != len(data) or not found.quantization <= {0, 1, 2, 3}:
        raise ImageUnreadable(DAMAGED)


def _header(reader: Reader, found: _Found, *, scan: int, data: int) -> JpegHeader:
    if found.size is None:
        raise ImageUnreadable("The image can't be read: the JPEG has no frame header.")
    scanned = reader.read(scan + 5, 2 * reader.read(scan + 4, 1)[0])[::2]
    if not 1 <= len(scanned) <= 4 or any(found.components.get(part) not in found.quantization for part in scanned):
        raise ImageUnreadable(DAMAGED)
    pieces = [found.profile.get(number) for number in range(1, found.profile_pieces + 1)]
    whole = [piece for piece in pieces if piece]
    notes = [*found.notes]
    if len(whole) < len(pieces):
        whole = []
        notes.append("The color profile is incomplete; the colors are read as sRGB.")
    return JpegHeader(
        format="jpeg",
        size=found.size,
        orientation=found.orientation or 1,
        colors=Colors(profile=tuple(whole)),
        notes=tuple(notes),
        bits=found.bits,
        components=len(found.components),
        head=tuple(found.head),
        scan=scan,
        end=_end(reader, data),
    )


def _end(reader: Reader, data: int) -> int:
    """Returns the position behind the end marker.

    FF D9 can occur in a segment between two scans, not in a scan's data.
    """
    at = data
    while True:
        reader.step(500)  # each time a large piece is read
        found = reader.find(b"\xff\xd9", at)
        if found < 0:
            raise ImageUnreadable(CUT_OFF)
        start = max(data, found - MAX_SEGMENT_BYTES)
        before = reader.read(start, found - start)
        ends = (
            start + segment.start() + 2 + int.from_bytes(before[segment.end() : segment.end() + 2], "big")
            for segment in SEGMENT.finditer(before)
        )
        at = next((end for end in ends if end > found), 0)
        if at == 0:
            return found + 2
