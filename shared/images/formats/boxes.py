"""Reads boxes of the ISO base media file format, which HEIC, AVIF and JPEG XL are made of. Source: ISO/IEC 14496-12."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import ImageUnreadable
from shared.images.header import CUT_OFF, Span
from shared.images.reader import Reader


@dataclass(frozen=True, slots=True)
class Box:
    name: bytes
    body: Span
    whole: Span


def boxes(reader: Reader, inside: Span, *, pixels: frozenset[bytes] = frozenset()) -> Iterator[Box]:
    """Returns the boxes in a range, in order.

    One that reaches beyond its end is cut off if it holds pixels, else the last.

    Raises ImageUnreadable.
    """
    at = inside.at
    while at + 8 <= inside.end:
        reader.step()
        size, name, head = reader.number(at, 4), reader.read(at + 4, 4), 8
        if size == 1:
            size, head = reader.number(at + 8, 8), 16
        elif size == 0:
            size = inside.end - at
        if size < head:
            return
        if at + size > inside.end:
            if name in pixels:
                raise ImageUnreadable(CUT_OFF)
            return
        yield Box(name, Span(at + head, size - head), Span(at, size))
        at += size


def full(box: Box) -> Span:
    """Returns the body of a box that begins with a version and flags."""
    return Span(box.body.at + 4, box.body.size - 4)
