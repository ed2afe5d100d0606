"""Reads the first page of a TIFF or BigTIFF.

Source: TIFF 6.0, its technical notes, and the BigTIFF design.
"""

import struct
from dataclasses import dataclass

from shared.errors import ImageUnreadable, UnsupportedImage
from shared.images.header import CUT_OFF, Colors, Header, Size, Span, checked_size
from shared.images.reader import Reader

MAX_ENTRIES = 4096
MAX_SEGMENTS = 500_000  # strips or tiles
DAMAGED = "The image can't be read: the TIFF's header is damaged."
RAW = "This is a camera's raw file, not a finished image; export it as TIFF or JPEG."

TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # whole numbers, as `struct` names them
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, STRIP_ROWS, STRIP_BYTES, PLANAR = 273, 274, 277, 278, 279, 284
PALETTE, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, SUB_IFDS = 320, 322, 323, 324, 325, 330
EXTRA_SAMPLES, SAMPLE_FORMAT, DEPTH, PROFILE, DNG_VERSION, NEW_SUBFILE = 338, 339, 32997, 34675, 50706, 254
# What pixels depend on; the numbers are fill order, fax options, predictor, JPEG tables and chroma.
KEPT = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, STRIP_ROWS, PLANAR, PALETTE, TILE_WIDTH, TILE_HEIGHT}
ROWS = {BITS, PALETTE, EXTRA_SAMPLES, SAMPLE_FORMAT, 347, 529, 530, 532}  # of several numbers
KEPT |= {EXTRA_SAMPLES, SAMPLE_FORMAT, 266, 292, 293, 317, 347, 529, 530, 532}

FAX = {2, 3, 4}  # compressions for black and white
JPEG = 7
COMPRESSIONS = {1, 5, JPEG, 8, 32773, 32946, 34925, 50000, 50001} | FAX
COLORS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}  # samples by photometric interpretation
WHITE_IS_ZERO, RGB, INDEXED, CMYK, YCBCR = 0, 2, 3, 5, 6
UNSIGNED, FLOAT = 1, 3
DEPTHS = {UNSIGNED: {1, 2, 4, 8, 16, 32}, FLOAT: {16, 32, 64}}


@dataclass(frozen=True, kw_only=True)
class TiffHeader(Header):
    photometric: int
    bits: int
    is_float: bool
    samples: int
    alpha: int | None  # the sample that holds it
    premultiplied: bool
    palette: Span | None  # 3 * 2^bits numbers of 16 bits
    order: str  # of bytes, as `struct` names it
    big: bool
    kept: dict[int, "Entry"]  # the tags that decoding needs
    tiled: bool
    offsets: tuple[int, ...]  # of the strips or tiles
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    kind: int
    count: int
    value: Span


class _Directory:
    """An image file directory. Its tags are read when they are asked for."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        start = reader.read(0, 4)
        self.order = "<" if start[:2] == b"II" else ">"
        self.big = 43 in start[2:]
        counts, offsets, entry_bytes = ("Q", "Q", 20) if self.big else ("H", "I", 12)
        at = self._unpack("Q", 8)[0] if self.big else self._unpack("I", 4)[0]
        (count,) = self._unpack(counts, at)
        if not 1 <= count <= MAX_ENTRIES:
            raise ImageUnreadable(DAMAGED)
        self.entries: dict[int, Entry] = {}
        at += struct.calcsize(f"={counts}")
        for _ in range(count):
            reader.step()
            tag, kind = self._unpack("HH", at)
            (number,) = self._unpack(offsets, at + 4)
            inline = struct.calcsize(f"={offsets}")
            size = TYPE_BYTES.get(kind, 1) * number
            place = at + 4 + inline
            where = place if size <= inline else self._unpack(offsets, place)[0]
            self.entries.setdefault(tag, Entry(kind, number, Span(where, size)))
            at += entry_bytes

    def _unpack(self, fields: str, at: int) -> tuple[int, ...]:
        layout = self.order + fields
        return struct.unpack(layout, self._reader.read(at, struct.calcsize(layout)))

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Returns all the tag's numbers; none where it is missing."""
        entry = self.entries.get(tag)
        if entry is None:
            return ()
        if entry.kind not in TYPES or entry.count > 2 * MAX_SEGMENTS:
            raise ImageUnreadable(DAMAGED)
        return self._unpack(f"{entry.count}{TYPES[entry.kind]}", entry.value.at)

    def number(self, tag: int, default: int | None = None) -> int:
        numbers = self.numbers(tag)
        if numbers:
            return numbers[0]
        if default is None:
            raise ImageUnreadable(DAMAGED)
        return default

    def is_sound(self, tag: int) -> bool:
        """Returns whether the tag has a valid value: a single number, except for the few that are lists."""
        entry = self.entries[tag]
        return self.span(tag) is not None and (tag in ROWS or (entry.kind in TYPES and entry.count == 1))

    def span(self, tag: int) -> Span | None:
        entry = self.entries.get(tag)
        return entry.value if entry and 0 < entry.value.size <= self._reader.size - entry.value.at else None


def read_tiff(reader: Reader) -> TiffHeader:
    directory = _Directory(reader)
    size = checked_size(directory.number(WIDTH), directory.number(HEIGHT))
    photometric = directory.number(PHOTOMETRIC, 1)
    if DNG_VERSION in directory.entries or photometric in {32803, 34892} or reader.up_to(8, 2) == b"CR":
        raise UnsupportedImage(RAW)
    if SUB_IFDS in directory.entries and directory.number(NEW_SUBFILE, 0) & 1:
        raise UnsupportedImage(RAW)
    samples, bits, is_float = _samples(directory, photometric)
    tiled, offsets, sizes = _segments(reader, directory, size, samples * bits)
    orientation, notes = _orientation(directory)
    profile = directory.span(PROFILE)
    if profile is None and PROFILE in directory.entries:
        notes = (*notes, "The color profile is not in the file; the colors are read as sRGB.")
    alpha, premultiplied = _alpha(directory, photometric, samples)
    palette = directory.span(PALETTE)
    if photometric == INDEXED and (palette is None or palette.size < 6 * 2**bits):
        raise ImageUnreadable("The image can't be read: the TIFF lacks its palette.")
    return TiffHeader(
        format="tiff",
        size=size,
        orientation=orientation,
        colors=Colors(profile=(profile,) if profile else ()),
        notes=notes,
        photometric=photometric,
        bits=bits,
        is_float=is_float,
        samples=samples,
        alpha=alpha,
        premultiplied=premultiplied,
        palette=palette if photometric == INDEXED else None,
        order=directory.order,
        big=directory.big,
        kept={tag: entry for tag, entry in directory.entries.items() if tag in KEPT and directory.is_sound(tag)},
        tiled=tiled,
        offsets=offsets,
        sizes=sizes,
    )


def _samples(directory: _Directory, photometric: int) -> tuple[int, int, bool]:
    compression, samples = directory.number(COMPRESSION, 1), directory.number(SAMPLES, 1)
    bits, formats = set(directory.numbers(BITS) or (1,)), set(directory.numbers(SAMPLE_FORMAT) or (UNSIGNED,))
    if compression not in COMPRESSIONS:
        raise UnsupportedImage(
            f"This TIFF's compression ({compression}) is not supported; save it with LZW or without."
        )
    if photometric not in COLORS or (photometric == YCBCR and compression != JPEG):
        raise UnsupportedImage(f"This TIFF's colors (kind {photometric}) are not supported; save it as RGB.")
    if len(bits) != 1 or len(formats) != 1 or not COLORS[photometric] <= samples <= 16:
        raise UnsupportedImage("This TIFF's channels are not supported; save it as RGB with 8 or 16 bits.")
    (depth,), (kind,) = bits, formats
    small = depth < 8 and (samples > 1 or photometric == CMYK)
    if depth not in DEPTHS.get(kind, ()) or small or (compression == JPEG and depth != 8):
        raise UnsupportedImage(f"This TIFF's numbers ({depth} bits) are not supported; save it with 8 or 16 bits.")
    if (compression in FAX and depth != 1) or (photometric == INDEXED and (depth > 8 or kind == FLOAT)):
        raise ImageUnreadable(DAMAGED)
    return samples, depth, kind == FLOAT


def _segments(
    reader: Reader, directory: _Directory, size: Size, pixel_bits: int
) -> tuple[bool, tuple[int, ...], tuple[int, ...]]:
    """Returns whether they are tiles, and where each strip or tile lies.

    Raises ImageUnreadable if one is not in the file.
    """
    width, height = size
    planes = directory.number(SAMPLES, 1) if directory.number(PLANAR, 1) == 2 else 1
    if directory.number(DEPTH, 1) != 1:
        raise UnsupportedImage("This TIFF is a volume, not a picture.")
    tiled = TILE_OFFSETS in directory.entries
    if tiled:
        across, down = directory.number(TILE_WIDTH), directory.number(TILE_HEIGHT)
        offsets, sizes = directory.numbers(TILE_OFFSETS), directory.numbers(TILE_BYTES)
    else:
        across, down = width, min(directory.number(STRIP_ROWS, height), height)
        offsets, sizes = directory.numbers(STRIP_OFFSETS), directory.numbers(STRIP_BYTES)
    if across < 1 or down < 1 or across * down > max(4 * width * height, 4 << 20):
        raise ImageUnreadable(DAMAGED)
    rows = -(-height // down)
    needed = -(-width // across) * rows * planes
    if needed > MAX_SEGMENTS:
        raise ImageUnreadable("The image file has more parts than any picture needs.")
    if len(offsets) < needed or len(sizes) < needed:
        raise ImageUnreadable(DAMAGED)
    offsets, sizes = offsets[:needed], sizes[:needed]
    if max(map(int.__add__, offsets, sizes)) > reader.size or min(sizes) == 0 or sum(sizes) > 2 * reader.size:
        raise ImageUnreadable(CUT_OFF)
    if directory.number(COMPRESSION, 1) == 1:
        lowest = down if tiled else height - (rows - 1) * down  # the last strip may be shorter
        for strip, held in enumerate(sizes):
            high = lowest if strip % rows == rows - 1 else down
            if held < high * -(-across * pixel_bits // planes // 8):
                raise ImageUnreadable(CUT_OFF)
    return tiled, offsets, sizes


def _orientation(directory: _Directory) -> tuple[int, tuple[str, ...]]:
    try:
        value = directory.number(ORIENTATION, 1)
    except ImageUnreadable:
        value = 0
    return (value, ()) if 1 <= value <= 8 else (1, ("The orientation can't be read; it is ignored.",))


def _alpha(directory: _Directory, photometric: int, samples: int) -> tuple[int | None, bool]:
    """Returns which sample is the alpha channel, if any, and whether the colors are multiplied by it."""
    colors = COLORS[photometric]
    try:
        extra = directory.numbers(EXTRA_SAMPLES)
    except ImageUnreadable:
        extra = ()
    for index, kind in enumerate(extra[: samples - colors]):  # others are masks or spot colors, which are ignored
        if kind in {1, 2} and photometric != INDEXED:
            return colors + index, kind == 1
    return None, False
