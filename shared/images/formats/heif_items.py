"""Reads the items of a HEIF file: the primary picture, its parts and their positions.

Source: ISO/IEC 14496-12, section 8.11.
"""

from dataclasses import dataclass, field

from shared.errors import ImageUnreadable
from shared.images.formats.boxes import Box, boxes, full
from shared.images.header import Span
from shared.images.reader import Reader

DERIVED = {b"grid", b"iovl", b"iden"}
MAX_ITEMS = 10_000
NUMBERS_PER_STEP = 4
NO_PICTURE = "The image can't be read: the HEIF file holds no picture."


@dataclass
class Items:
    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    inside: Span | None = None  # the body of `idat`, for items whose bytes lie in the `meta` box
    kinds_at: dict[int, int] = field(default_factory=dict)  # where in the file an item's kind is written
    places: dict[int, list[Span]] = field(default_factory=dict)  # in the file
    parts: dict[int, list[int]] = field(default_factory=dict)  # what a derived picture is made of
    properties: list[Box] = field(default_factory=list)
    associations: dict[int, list[int]] = field(default_factory=dict)  # indexes of properties, from 1

    def owned(self, item: int) -> list[Box]:
        """Returns the properties of an item, in order."""
        indexes = self.associations.get(item, [])
        return [self.properties[index - 1] for index in indexes if 1 <= index <= len(self.properties)]

    def leaves(self) -> list[int]:
        """Returns the coded pictures that the primary one is made of. Raises ImageUnreadable if there are none."""
        left, found = [self.primary], []
        for _ in range(MAX_ITEMS):
            if not left or len(left) > MAX_ITEMS:
                break
            item = left.pop()
            if self.kinds.get(item) in DERIVED:
                left += self.parts.get(item, [])
            elif item in self.kinds:
                found.append(item)
        if not found:
            raise ImageUnreadable(NO_PICTURE)
        return found


def read_items(reader: Reader, box: Box) -> Items:
    """Returns the items of a `meta` box."""
    parts = list(boxes(reader, full(box)))
    meta = Items(inside=next((part.body for part in parts if part.name == b"idat"), None))
    for part in parts:
        if part.name == b"pitm":
            meta.primary = _sized(reader, part, part.body.at + 4, 2)
        elif part.name == b"iinf":
            _kinds(reader, part, meta)
        elif part.name == b"iloc":
            _places(reader, part, meta)
        elif part.name == b"iref":
            _references(reader, part, meta)
        elif part.name == b"iprp":
            for inner in boxes(reader, part.body):
                if inner.name == b"ipco":
                    meta.properties = list(boxes(reader, inner.body))
                elif inner.name == b"ipma":
                    _associations(reader, inner, meta)
    return meta


def _sized(reader: Reader, box: Box, at: int, small: int) -> int:
    """Returns a number of two bytes, or of four in later versions of the box."""
    return reader.number(at, small if reader.number(box.body.at, 1) == 0 else 4)


def _kinds(reader: Reader, box: Box, meta: Items) -> None:
    skipped = 6 if reader.number(box.body.at, 1) == 0 else 8
    for entry in boxes(reader, Span(box.body.at + skipped, box.body.size - skipped)):
        version = reader.number(entry.body.at, 1)
        if entry.name == b"infe" and version >= 2:
            wide = 2 if version == 2 else 4
            item = reader.number(entry.body.at + 4, wide)
            meta.kinds_at[item] = entry.body.at + 6 + wide
            meta.kinds[item] = reader.read(meta.kinds_at[item], 4)


def _places(reader: Reader, box: Box, meta: Items) -> None:
    version, at = reader.number(box.body.at, 1), box.body.at + 4
    offset_bytes, length_bytes = divmod(reader.number(at, 1), 16)
    base_bytes, index_bytes = divmod(reader.number(at + 1, 1), 16)
    wide = 2 if version < 2 else 4
    count, at = reader.number(at + 2, wide), at + 2 + wide
    for _ in range(count):
        reader.step()
        item, at = reader.number(at, wide), at + wide
        method = reader.number(at, 2) & 15 if version else 0
        at += 4 if version else 2
        base, at = reader.number(at, base_bytes), at + base_bytes
        extents, at = reader.number(at, 2), at + 2
        spans = []
        for _ in range(extents):
            reader.step()
            at += index_bytes if version else 0
            offset, length = reader.number(at, offset_bytes), reader.number(at + offset_bytes, length_bytes)
            at += offset_bytes + length_bytes
            spans.append(Span(base + offset, length))
        if method == 1 and meta.inside:
            spans = [Span(meta.inside.at + span.at, span.size) for span in spans]
        if method == 0 or (method == 1 and meta.inside):
            meta.places[item] = spans


def _references(reader: Reader, box: Box, meta: Items) -> None:
    wide = 2 if reader.number(box.body.at, 1) == 0 else 4
    for reference in boxes(reader, full(box)):
        if reference.name == b"dimg":
            at = reference.body.at
            item, count = reader.number(at, wide), reader.number(at + wide, 2)
            reader.step(count / NUMBERS_PER_STEP)
            meta.parts[item] = [reader.number(at + wide + 2 + wide * index, wide) for index in range(count)]


def _associations(reader: Reader, box: Box, meta: Items) -> None:
    head = reader.number(box.body.at, 4)
    wide, long = 2 if head >> 24 == 0 else 4, head & 1
    count, at = reader.number(box.body.at + 4, 4), box.body.at + 8
    for _ in range(count):
        reader.step()
        item, owned, at = reader.number(at, wide), reader.number(at + wide, 1), at + wide + 1
        reader.step(owned / NUMBERS_PER_STEP)
        numbers = [reader.number(at + index * (1 + long), 1 + long) for index in range(owned)]
        meta.associations.setdefault(item, []).extend(number & (0x7FFF if long else 0x7F) for number in numbers)
        at += owned * (1 + long)
