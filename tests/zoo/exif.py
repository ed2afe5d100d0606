"""Makes EXIF blocks, intact and damaged, each with the orientation that should be read from it."""

import struct
from collections.abc import Iterator

ASCII, SHORT, LONG, RATIONAL = 2, 3, 4, 5


def block(
    *entries: tuple[int, int, int, bytes], order: str = "<", extra: bytes = b"", next_directory: int = 0
) -> bytes:
    """Returns a TIFF header and one directory. An entry is (tag, type, count, four bytes)."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    body = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(f"{order}HHI", tag, kind, count) + value
    return head + body + struct.pack(f"{order}I", next_directory) + extra


def orientation(value: int, order: str = "<", kind: int = SHORT) -> tuple[int, int, int, bytes]:
    layout = {SHORT: "HH", LONG: "I", 1: "BBBB"}[kind]
    return 0x0112, kind, 1, struct.pack(f"{order}{layout}", value, *[0] * (len(layout) - 1))


def sound() -> Iterator[tuple[str, bytes, int]]:
    for order, name in (("<", "ii"), (">", "mm")):
        for value in range(1, 9):
            yield f"orientation-{value}-{name}", block(orientation(value, order), order=order), value


def damaged() -> Iterator[tuple[str, bytes, int]]:
    six = orientation(6)
    software = 0x0131
    yield "odd-type", block(six, (software, 99, 7, b"abcd")), 6
    yield "type-zero", block((software, 0, 0, bytes(4)), six), 6
    yield "two-resolutions", block(six, (0x011A, 12, 1, struct.pack("<I", 38)), extra=bytes(8)), 6
    yield "resolution-outside", block(six, (0x011A, RATIONAL, 1, struct.pack("<I", 60_000))), 6
    yield "huge-count", block(six, (software, ASCII, 2**32 - 1, struct.pack("<I", 8))), 6
    yield "zero-denominator", block(six, (0x011A, RATIONAL, 1, struct.pack("<I", 38)), extra=bytes(8)), 6
    yield "text-without-end", block(six, (software, ASCII, 4, b"abcd")), 6
    yield "text-of-bytes", block(six, (software, ASCII, 4, b"\xff\xfe\xfd\0")), 6
    yield "endless-directories", block(six, next_directory=8), 6
    yield "next-outside", block(six, next_directory=2**31), 6
    yield "sub-directory-outside", block(six, (0x8769, LONG, 1, struct.pack("<I", 2**31))), 6
    yield "sub-directory-itself", block(six, (0x8769, LONG, 1, struct.pack("<I", 8))), 6
    yield "maker-note", block(six, (0x927C, 7, 2000, struct.pack("<I", 38)), extra=bytes(range(250)) * 8), 6
    yield "position", block(six, (0x8825, LONG, 1, struct.pack("<I", 38)), extra=b"\xff" * 200), 6
    yield "orientation-as-long", block(orientation(6, kind=LONG)), 6
    yield "orientation-as-byte", block(orientation(6, kind=1)), 6
    yield "orientation-twice", block(six, orientation(3)), 6
    yield "orientation-0", block(orientation(0)), 1
    yield "orientation-9", block(orientation(9)), 1
    yield "orientation-65535", block(orientation(65535)), 1
    yield "unsorted", block((0x9003, ASCII, 4, b"2026"), six), 6
    yield "count-too-large", block(six)[:8] + b"\xff\xff" + block(six)[10:], 6
    yield "cut-in-entry", block((software, ASCII, 4, b"abcd"), six)[:-14], 1
    yield "directory-outside", b"II*\0\xff\xff\xff\x7f" + bytes(20), 1
    yield "header-alone", b"II*\0\x08\0\0\0", 1
    yield "no-header", b"\0" * 40, 1
    yield "big-tiff", b"II+\0\x08\0\0\0" + bytes(40), 1
    yield "text-instead", b"no EXIF data here at all", 1
    yield "nearly-empty", b"I", 1
    yield "no-entries", block(), 1
