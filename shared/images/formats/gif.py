"""Reads a GIF's header, up to the end of its first frame. Source: GIF89a specification."""

from dataclasses import dataclass

from shared.errors import ImageUnreadable
from shared.images.header import CUT_OFF, FIRST_FRAME, Header, Size, Span, checked_size
from shared.images.reader import Reader

BLOCKS_PER_STEP = 8  # a block holds at most 255 bytes and is quickly passed: 400,000 of them, or 100 MB
PIECE_BYTES = 1 << 16
DAMAGED = "The image can't be read: the GIF's header is damaged."


@dataclass(frozen=True, kw_only=True)
class GifHeader(Header):
    palette: Span | None  # the frame's own, else the file's
    transparent: int | None  # index of the color that shows what is behind it
    interlaced: bool
    frame: Size  # of the first frame, which is placed on the canvas
    offset: Size  # from the left and from the top
    coded: Span  # from the code size to the last block


def read_gif(reader: Reader) -> GifHeader:
    width, height = reader.number(6, 2, "little"), reader.number(8, 2, "little")
    palette, at = _palette(reader, 13, reader.read(10, 1)[0])
    transparent = None
    while True:
        reader.step()
        kind = reader.read(at, 1)
        if kind == b",":
            break
        if kind == b"!":
            if reader.read(at + 1, 2) == b"\xf9\x04":
                flags, index = reader.read(at + 3, 1)[0], reader.read(at + 6, 1)[0]
                transparent = index if flags & 1 else None
            at = _blocks_end(reader, at + 2)
        elif kind == b"\0":  # some writers leave an empty block over
            at += 1
        else:
            raise ImageUnreadable("The image can't be read: the GIF holds no picture." if kind == b";" else DAMAGED)
    left, top, wide, high = (reader.number(at + 1 + 2 * index, 2, "little") for index in range(4))
    flags = reader.read(at + 9, 1)[0]
    own, at = _palette(reader, at + 10, flags)
    if own is None and palette is None:
        raise ImageUnreadable("The image can't be read: the GIF lacks its palette.")
    if not 1 <= reader.read(at, 1)[0] <= 11:
        raise ImageUnreadable(DAMAGED)
    end = _blocks_end(reader, at + 1)
    if end == at + 2:
        raise ImageUnreadable("The image can't be read: the GIF's first frame is empty.")
    return GifHeader(
        format="gif",
        size=checked_size(max(width, left + wide), max(height, top + high)),
        notes=(FIRST_FRAME,) if _has_more(reader, end) else (),
        palette=own or palette,
        transparent=transparent,
        interlaced=bool(flags & 0x40),
        frame=checked_size(wide, high),
        offset=(left, top),
        coded=Span(at, end - at),
    )


def _palette(reader: Reader, at: int, flags: int) -> tuple[Span | None, int]:
    if not flags & 0x80:
        return None, at
    span = Span(at, 3 * 2 ** ((flags & 7) + 1))
    if span.end > reader.size:
        raise ImageUnreadable(CUT_OFF)
    return span, span.end


def _blocks_end(reader: Reader, at: int) -> int:
    """Skips to behind the empty block that ends a row of blocks."""
    while piece := reader.up_to(at, PIECE_BYTES):
        inside = blocks = 0
        while inside < len(piece):
            blocks += 1
            size = piece[inside]
            inside += 1 + size
            if size == 0:
                reader.step(blocks / BLOCKS_PER_STEP)
                return at + inside
        reader.step(blocks / BLOCKS_PER_STEP)
        at += inside
    raise ImageUnreadable(CUT_OFF)


def _has_more(reader: Reader, at: int) -> bool:
    """Returns whether another frame follows; only extensions may stand before it."""
    try:
        while (kind := reader.read(at, 1)) == b"!":
            reader.step()
            at = _blocks_end(reader, at + 2)
    except ImageUnreadable:
        return False
    return kind == b","
