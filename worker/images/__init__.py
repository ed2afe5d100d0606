"""Photographs in, pictures out: any file becomes sRGB numbers once, and a dream carries its recipe."""

from worker.images.decode import Decoded, decode, mask_of
from worker.images.encode import CONTENT_TYPES, RECIPE, Encoded, encode, preview, to_pixels, write_gradient

__all__ = [
    "CONTENT_TYPES",
    "RECIPE",
    "Decoded",
    "Encoded",
    "decode",
    "encode",
    "mask_of",
    "preview",
    "to_pixels",
    "write_gradient",
]
