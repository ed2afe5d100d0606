"""Copies a range of bytes from one file to another."""

from typing import BinaryIO

from shared.images.header import Span

PIECE_BYTES = 1 << 20


def copy(file: BinaryIO, span: Span, into: BinaryIO) -> None:
    file.seek(span.at)
    left = span.size
    while left > 0 and (piece := file.read(min(left, PIECE_BYTES))):
        into.write(piece)
        left -= len(piece)
