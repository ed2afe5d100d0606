"""Writes a TIFF's first page as a separate file, without metadata that its pixels don't need."""

import struct
from typing import BinaryIO

from shared.images.copying import copy
from shared.images.formats.tiff import (
    ORIENTATION,
    PROFILE,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_BYTES,
    TILE_OFFSETS,
    TYPES,
    TiffHeader,
)
from shared.images.header import Span

SHORT, LONG, UNDEFINED, LONG8 = 3, 4, 7, 16


def write_tiff(
    file: BinaryIO, header: TiffHeader, into: BinaryIO, *, profile: bytes = b"", orientation: int = 1
) -> None:
    """Writes the page in the byte order and the kind, classic or BigTIFF, that it has."""
    order, wide = header.order, "Q" if header.big else "I"
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if header.big else 42)
    start += struct.pack(f"{order}HH", 8, 0) if header.big else b""
    into.write(start + struct.pack(f"{order}{wide}", 0))  # where the directory will be
    offsets = []
    for at, size in zip(header.offsets, header.sizes, strict=True):
        offsets.append(into.tell())
        copy(file, Span(at, size), into)
        into.write(b"\0" * (size % 2))
    tags: dict[int, tuple[int, int, bytes]] = {}
    for tag, entry in header.kept.items():
        file.seek(entry.value.at)
        tags[tag] = entry.kind, entry.count, file.read(entry.value.size)
    kind, places = (
        (LONG8 if header.big else LONG),
        ((TILE_OFFSETS, TILE_BYTES) if header.tiled else (STRIP_OFFSETS, STRIP_BYTES)),
    )
    for tag, numbers in zip(places, (offsets, header.sizes), strict=True):
        tags[tag] = kind, len(numbers), struct.pack(f"{order}{len(numbers)}{TYPES[kind]}", *numbers)
    if profile:
        tags[PROFILE] = UNDEFINED, len(profile), profile
    if orientation != 1:
        tags[ORIENTATION] = SHORT, 1, struct.pack(f"{order}H", orientation)
    at = _directory(into, header, tags)
    into.seek(len(start))
    into.write(struct.pack(f"{order}{wide}", at))
    into.seek(0, 2)


def _directory(into: BinaryIO, header: TiffHeader, tags: dict[int, tuple[int, int, bytes]]) -> int:
    """Writes the tags' values and then their directory. Returns where that begins."""
    order, wide, count = header.order, "Q" if header.big else "I", "Q" if header.big else "H"
    inline = struct.calcsize(f"={wide}")
    entries = b""
    for tag, (kind, number, value) in sorted(tags.items()):
        if len(value) > inline:
            place = struct.pack(f"{order}{wide}", into.tell())
            into.write(value + b"\0" * (len(value) % 2))
        else:
            place = value.ljust(inline, b"\0")
        entries += struct.pack(f"{order}HH{wide}", tag, kind, number) + place
    at = into.tell()
    into.write(struct.pack(f"{order}{count}", len(tags)) + entries + struct.pack(f"{order}{wide}", 0))
    return at
