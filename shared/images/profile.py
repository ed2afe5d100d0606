"""Reads the ICC profile of a file."""

import zlib
from typing import BinaryIO

from shared.images.header import Colors

MAX_PROFILE_BYTES = 16 << 20  # the largest in use, of presses, have a few MB


def read_profile(file: BinaryIO, colors: Colors) -> tuple[bytes | None, str | None]:
    """Returns the profile, None where there is none, and a note if there is one that can't be used."""
    if sum(piece.size for piece in colors.profile) > MAX_PROFILE_BYTES:
        return None, "The color profile is larger than any in use; it is ignored."
    data = b""
    for piece in colors.profile:
        file.seek(piece.at)
        data += file.read(piece.size)
    if not (data and colors.deflated):
        return data or None, None
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(data, MAX_PROFILE_BYTES)
    except zlib.error:
        return None, "The color profile is damaged; the colors are read as sRGB."
    if not unpack.eof:
        return None, "The color profile is damaged or larger than any in use; the colors are read as sRGB."
    return profile, None
