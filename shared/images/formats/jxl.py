"""Reads a JPEG XL's header: size, orientation, depth and colors are the first bits of the codestream.

Source: ISO/IEC 18181-1, "Image header"; 18181-2 for the container.
"""

from dataclasses import dataclass

from shared.errors import ImageUnreadable
from shared.images.formats.boxes import boxes
from shared.images.header import CUT_OFF, FIRST_FRAME, Colors, Header, Size, Span, checked_size
from shared.images.reader import Reader

CONTAINER = b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a"
CODESTREAM = b"\xff\x0a"
RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
NEEDED = {b"JXL ", b"ftyp", b"jxll", b"jxli", b"jxlc", b"jxlp"}
HEAD_BYTES = 4096
PIXELS = frozenset({b"jxlc", b"jxlp"})
PROFILE_UNREAD = "The color profile of a JPEG XL is not read; the colors are taken for sRGB."


@dataclass(frozen=True, kw_only=True)
class JxlHeader(Header):
    """A JPEG XL header. `size` is the one after the orientation, which decoders apply."""

    bits: int


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ImageUnreadable(CUT_OFF)
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        return value

    def flag(self) -> bool:
        return bool(self.take(1))

    def choose(self, *options: tuple[int, int]) -> int:
        """Reads one of four (constant, further bits), as two bits choose: the specification's U32."""
        constant, count = options[self.take(2)]
        return constant + self.take(count)

    def enum(self) -> int:
        return self.choose((0, 0), (1, 0), (2, 4), (18, 6))


def read_jxl(reader: Reader) -> JxlHeader:
    head, metadata = _head(reader)
    bits = _Bits(head)
    width, height = _size(bits)
    depth, orientation, animated, colors, profile_unread = 8, 1, False, Colors(), False
    if not bits.flag():  # not all of the metadata has its default
        orientation, animated = _extra_fields(bits)
        depth = _depth(bits)
        bits.flag()  # modular_16bit_buffers
        for _ in range(_channels(bits)):
            _extra_channel(bits)
        bits.flag()  # xyb_encoded
        colors, profile_unread = _colors(bits)
    turned = orientation >= 5
    return JxlHeader(
        format="jxl",
        size=checked_size(*((height, width) if turned else (width, height))),
        colors=colors,
        metadata=metadata,
        notes=(*((FIRST_FRAME,) if animated else ()), *((PROFILE_UNREAD,) if profile_unread else ())),
        bits=depth,
    )


def _head(reader: Reader) -> tuple[bytes, tuple[Span, ...]]:
    """Returns the codestream's first bytes after its signature."""
    if reader.up_to(0, 2) == CODESTREAM:
        return reader.up_to(2, HEAD_BYTES), ()
    head, metadata = b"", []
    for box in boxes(reader, Span(0, reader.size), pixels=PIXELS):
        if box.name == b"jxlc":
            head = head or reader.up_to(box.body.at, min(box.body.size, HEAD_BYTES))
        elif box.name == b"jxlp" and len(head) < HEAD_BYTES:
            head += reader.up_to(box.body.at + 4, min(box.body.size - 4, HEAD_BYTES))
        elif box.name not in NEEDED:
            metadata.append(box.body)
    if head[:2] != CODESTREAM:
        raise ImageUnreadable("The image can't be read: the JPEG XL file holds no picture.")
    return head[2:], tuple(metadata)


def _size(bits: _Bits) -> Size:
    if bits.flag():
        height = 8 * (1 + bits.take(5))
        ratio = RATIOS.get(bits.take(3))
        width = height * ratio[0] // ratio[1] if ratio else 8 * (1 + bits.take(5))
    else:
        options = ((1, 9), (1, 13), (1, 18), (1, 30))
        height = bits.choose(*options)
        ratio = RATIOS.get(bits.take(3))
        width = height * ratio[0] // ratio[1] if ratio else bits.choose(*options)
    return width, height


def _extra_fields(bits: _Bits) -> tuple[int, bool]:
    """Returns the orientation, and whether the file is animated."""
    if not bits.flag():
        return 1, False
    orientation = 1 + bits.take(3)
    if bits.flag():  # intrinsic size
        _size(bits)
    if bits.flag():  # preview
        _preview(bits)
    animated = bits.flag()
    if animated:
        bits.choose((100, 0), (1000, 0), (1, 10), (1, 30))  # ticks per second: numerator, denominator
        bits.choose((1, 0), (1001, 0), (1, 8), (1, 10))
        bits.choose((0, 0), (0, 3), (0, 16), (0, 32))  # loops
        bits.flag()  # timecodes
    return orientation, animated


def _preview(bits: _Bits) -> None:
    by_eight = bits.flag()
    options = ((16, 0), (32, 0), (1, 5), (33, 9)) if by_eight else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choose(*options)
    if bits.take(3) == 0:
        bits.choose(*options)


def _depth(bits: _Bits) -> int:
    if bits.flag():  # floating point
        depth = bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
        return depth
    return bits.choose((8, 0), (10, 0), (12, 0), (1, 6))


def _channels(bits: _Bits) -> int:
    count = bits.choose((0, 0), (1, 0), (2, 4), (1, 12))
    if count > 256:
        raise ImageUnreadable("The image can't be read: the JPEG XL file has too many channels.")
    return count


def _extra_channel(bits: _Bits) -> None:
    if bits.flag():  # alpha with the defaults
        return
    kind = bits.enum()
    _depth(bits)
    bits.choose((0, 0), (3, 0), (4, 0), (1, 3))  # how much smaller it is
    name_bytes = bits.choose((0, 0), (0, 4), (16, 5), (48, 10))
    bits.take(8 * name_bytes)
    if kind == 0:
        bits.flag()  # premultiplied
    elif kind == 2:
        bits.take(64)  # a spot color: four halves
    elif kind == 5:
        bits.choose((1, 0), (0, 2), (3, 4), (19, 8))


def _colors(bits: _Bits) -> tuple[Colors, bool]:
    """Returns the color encoding, and whether it is more than that: a profile, which only the decoder could unpack.

    So are a white or primaries of its own.
    """
    if bits.flag():  # sRGB
        return Colors(), False
    has_profile = bits.flag()
    space = bits.enum()
    if has_profile or space == 2:
        return Colors(), has_profile
    white = bits.enum()
    if white == 2:
        _customs(bits, 1)
    primaries = 1
    if space != 1:
        primaries = bits.enum()
        if primaries == 2:
            _customs(bits, 3)
    custom = space != 1 and 2 in {white, primaries}
    transfer = 13
    if bits.flag():
        gamma = bits.take(24) / 1e7  # the power that gives the numbers from light
        transfer = 8 if gamma > 0.9 else 4 if gamma > 0.4 else 5
    else:
        transfer = bits.enum()
    return Colors(primaries={9: 9, 11: 12}.get(primaries, 1), transfer=transfer), custom


def _customs(bits: _Bits, count: int) -> None:
    for _ in range(2 * count):
        bits.choose((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
