"""Checks an upload by its header and its end. No pixel is decoded: a crashing decoder must not take the API down."""

from collections.abc import Collection
from typing import BinaryIO

from shared.images.read import check_pixels, read_header
from shared.jobs.job import InputImage


def read_input_image(file: BinaryIO, *, max_pixels: int, formats: Collection[str] | None = None) -> InputImage:
    """Reads the file's header and checks that the file is complete. Rewinds the file.

    formats: those that are accepted; all of them when None.
    Raises UnsupportedImage, ImageUnreadable or ImageTooLarge.
    """
    header = read_header(file, formats=formats)
    check_pixels(header, max_pixels)
    width, height = header.displayed
    size_bytes = file.seek(0, 2)
    file.seek(0)
    return InputImage(format=header.format, width=width, height=height, size_bytes=size_bytes)
