"""Reads the primary picture of a HEIC, HEIF or AVIF file. Gain maps, depth maps, thumbnails and sequences are ignored.

Source: ISO/IEC 23008-12 (HEIF), 23000-22 (MIAF), and AOM's AV1 image file format.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from shared.errors import ImageUnreadable, UnsupportedImage
from shared.images.formats.boxes import Box, boxes
from shared.images.formats.heif_items import NO_PICTURE, Items, read_items
from shared.images.header import CUT_OFF, FIRST_FRAME, Colors, Format, Header, Size, Span, checked_size
from shared.images.reader import Reader

BRANDS: dict[bytes, Format] = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"), "heic"),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
}
CODINGS: dict[bytes, Format] = {b"hvc1": "heic", b"av01": "avif"}
METADATA = {b"Exif", b"mime", b"uri "}
NEEDED = {b"ftyp", b"meta", b"mdat", b"moov"}
DAMAGED = "The image can't be read: the header of the HEIF file is damaged."
PIXELS = frozenset({b"meta", b"mdat"})


@dataclass(frozen=True, slots=True)
class Crop:
    """A clean aperture: a rectangle of the picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Turn:
    """Turns counterclockwise, in steps of 90 degrees."""

    steps: int


@dataclass(frozen=True, slots=True)
class Mirror:
    """Exchanges top and bottom (axis 0) or left and right (axis 1)."""

    axis: int


Transform = Crop | Turn | Mirror


@dataclass(frozen=True, kw_only=True)
class HeifHeader(Header):
    """A HEIF header. `size` is the one after the transforms; `orientation` is 1."""

    bits: int  # of an AVIF
    coded: Size  # before the transforms
    transforms: tuple[Transform, ...]  # in the order in which they apply
    hidden: tuple[tuple[int, bytes], ...]  # what to write where, so that decoders see the primary picture alone


def is_heif(start: bytes) -> bool:
    """Returns whether a file that begins so says that it is one. start: its first 64 bytes."""
    return start[4:8] == b"ftyp" and bool(_brands(start))


def _brands(start: bytes) -> list[bytes]:
    end = min(int.from_bytes(start[:4], "big"), len(start))
    return [start[at : at + 4] for at in (8, *range(16, end - 3, 4)) if start[at : at + 4] in BRANDS]


def read_heif(reader: Reader) -> HeifHeader:
    parts = list(boxes(reader, Span(0, reader.size), pixels=PIXELS))
    found = [box for box in parts if box.name == b"meta"]
    if not found:
        raise ImageUnreadable(NO_PICTURE)
    items = read_items(reader, found[0])
    made_of = items.leaves()
    codings = {CODINGS.get(items.kinds[item]) for item in made_of}
    if len(codings) != 1 or None in codings:
        raise UnsupportedImage("This HEIF file's coding is not supported; export it as JPEG, PNG or AVIF.")
    for item in made_of:
        spans = items.places.get(item)
        if not spans or max(span.end for span in spans) > reader.size:
            raise ImageUnreadable(CUT_OFF)
    coding = codings.pop() or "heic"
    return _header(reader, items, coding, made_of[0], parts)


def _header(reader: Reader, items: Items, coding: Format, leaf: int, parts: list[Box]) -> HeifHeader:
    owned = items.owned(items.primary)
    sizes = [box for box in owned if box.name == b"ispe"]
    if not sizes:
        raise ImageUnreadable(DAMAGED)
    coded = checked_size(reader.number(sizes[0].body.at + 4, 4), reader.number(sizes[0].body.at + 8, 4))
    bits, transforms, size, colors = 8, [], coded, Colors()
    for box in [*owned, *items.owned(leaf)]:
        if box.name == b"av1C" and (depth := reader.number(box.body.at + 2, 1)) & 0x40:
            bits = 12 if depth & 0x20 else 10
        elif box.name == b"colr":
            colors = _colors(reader, box, colors)
    for box in owned:
        transform = _transform(reader, box, size)
        if transform:
            transforms.append(transform)
            size = _after(size, transform)
    others = [box.body for box in parts if box.name not in NEEDED or box.name == b"moov"]
    hidden = _sequences(reader, parts)
    metadata = [span for item, kind in items.kinds.items() if kind in METADATA for span in items.places.get(item, [])]
    return HeifHeader(
        format=coding,
        size=size,
        colors=colors,
        metadata=tuple(span for span in [*others, *metadata] if span.end <= reader.size),
        notes=(FIRST_FRAME,) if hidden else (),
        bits=bits,
        coded=coded,
        transforms=tuple(transforms),
        hidden=(*hidden, *((items.kinds_at[item], b"skip") for item, kind in items.kinds.items() if kind in METADATA)),
    )


def _sequences(reader: Reader, parts: list[Box]) -> list[tuple[int, bytes]]:
    """Returns how to hide a sequence from decoders, which would take its first frame for the primary picture."""
    if not any(box.name == b"moov" for box in parts):
        return []
    hidden = [(box.whole.at + 4, b"free") for box in parts if box.name == b"moov"]
    for box in parts:
        if box.name == b"ftyp":
            brands = reader.up_to(box.body.at, min(box.body.size, 4096))
            places = [at for at in range(0, len(brands), 4) if brands[at : at + 4] == b"avis"]
            hidden += [(box.body.at + at, b"avif") for at in places]
    return hidden


def _colors(reader: Reader, box: Box, before: Colors) -> Colors:
    kind = reader.up_to(box.body.at, 4)
    if kind in {b"prof", b"rICC"} and not before.profile:
        return Colors(
            profile=(Span(box.body.at + 4, box.body.size - 4),), primaries=before.primaries, transfer=before.transfer
        )
    if kind == b"nclx" and before.primaries is None:
        primaries, transfer = reader.number(box.body.at + 4, 2), reader.number(box.body.at + 6, 2)
        return Colors(profile=before.profile, primaries=primaries, transfer=transfer)
    return before


def _transform(reader: Reader, box: Box, size: Size) -> Transform | None:
    if box.name == b"irot":
        steps = reader.number(box.body.at, 1) & 3
        return Turn(steps) if steps else None
    if box.name == b"imir":
        return Mirror(reader.number(box.body.at, 1) & 1)
    return _crop(reader, box, size) if box.name == b"clap" else None


def _crop(reader: Reader, box: Box, size: Size) -> Crop:
    data = reader.read(box.body.at, 32)
    numbers = [int.from_bytes(data[4 * at : 4 * at + 4], "big", signed=at in {4, 6}) for at in range(8)]
    if any(numbers[index] <= 0 for index in (0, 1, 2, 3, 5, 7)):
        raise ImageUnreadable(DAMAGED)
    wide, high, across, down = (Fraction(*numbers[index : index + 2]) for index in range(0, 8, 2))
    width, height = (math.floor(side + Fraction(1, 2)) for side in (wide, high))
    left = math.floor(across + Fraction(size[0] - 1, 2) - (wide - 1) / 2)
    top = math.floor(down + Fraction(size[1] - 1, 2) - (high - 1) / 2)
    if min(width, height) < 1 or min(left, top) < 0 or left + width > size[0] or top + height > size[1]:
        raise ImageUnreadable(DAMAGED)
    return Crop(left, top, width, height)


def _after(size: Size, transform: Transform) -> Size:
    if isinstance(transform, Crop):
        return transform.width, transform.height
    return (size[1], size[0]) if isinstance(transform, Turn) and transform.steps % 2 else size
