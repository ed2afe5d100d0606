"""What an upload is, from its header and its end. No pixel is decoded here; the worker does that, and may die of it."""

from collections.abc import Collection
from typing import BinaryIO

from shared.images.read import check_pixels, read_header
from shared.jobs.job import InputImage


def sniff(file: BinaryIO, *, max_pixels: int, formats: Collection[str] | None = None) -> InputImage:
    """Returns what the file's header says, with the file checked for completeness; the file is rewound.

    formats: those that are accepted; all of them when None.
    Raises UnsupportedImage, ImageUnreadable or ImageTooLarge.
    """
    header = read_header(file, formats=formats)
    check_pixels(header, max_pixels)
    width, height = header.displayed
    size_bytes = file.seek(0, 2)
    file.seek(0)
    return InputImage(format=header.format, width=width, height=height, size_bytes=size_bytes)
