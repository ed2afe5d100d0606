"""Reads the orientation from an EXIF block. The rest of the block is ignored, even if it is damaged."""

ORIENTATION = 0x0112
MAX_BLOCK_BYTES = 1 << 20  # where the tag is looked for; it is among the first
MAX_ENTRIES = 1000
SIZES = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}  # TIFF's whole-number types, bytes
UNREADABLE = "The EXIF data can't be read; it is ignored."


def orientation_of(block: bytes) -> tuple[int, str | None]:
    """Returns the orientation, 1 to 8, and a note if the block can't be read. 1 where there is none.

    block: as it stands in the file, with or without the `Exif` in front of its TIFF header.
    """
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(block[:4])
    if order is None:
        return 1, UNREADABLE

    def number(at: int, size: int) -> int:
        if at + size > len(block):
            raise IndexError
        return int.from_bytes(block[at : at + size], order)  # type: ignore[arg-type]

    try:
        directory = number(4, 4)
        for index in range(min(number(directory, 2), MAX_ENTRIES)):
            entry = directory + 2 + 12 * index
            if number(entry, 2) == ORIENTATION:
                value = number(entry + 8, SIZES.get(number(entry + 2, 2), 2))
                return (value, None) if 1 <= value <= 8 else (1, "The EXIF orientation is out of range; it is ignored.")
    except IndexError:
        return 1, UNREADABLE
    return 1, None
