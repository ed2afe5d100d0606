"""Decodes the first page of a TIFF: tifffile unpacks the samples, this module interprets them."""

from typing import BinaryIO

import numpy as np
import tifffile

from shared.images.formats.tiff import CMYK, COLORS, INDEXED, RGB, WHITE_IS_ZERO, YCBCR, TiffHeader
from worker.dream import scratch
from worker.images.large import is_large, plain_file
from worker.images.raster import Raster, Samples, scaled


def decode_tiff(file: BinaryIO, header: TiffHeader) -> Raster:
    with plain_file(file, header) as plain, tifffile.TiffFile(plain, name="image") as opened:
        page = opened.pages[0]
        plain_numbers = header.bits in {8, 16} and not header.is_float
        out = scratch.empty(page.shape, f"u{header.bits // 8}") if plain_numbers and is_large(header.size) else None
        pixels: Samples = page.asarray(maxworkers=1, out=out)
    width, height = header.size
    if header.samples > 1 and pixels.shape == (header.samples, height, width):
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = pixels.reshape(height, width, header.samples)
    if header.photometric == INDEXED:
        return Raster(samples=_palette(file, header)[pixels[..., 0]], space="rgb")
    notes: tuple[str, ...] = ()
    if header.is_float:
        pixels, notes = _of_floats(pixels)
    else:
        pixels = scaled(pixels, header.bits)
    colors = pixels[..., : COLORS[header.photometric]]
    alpha = None if header.alpha is None else pixels[..., header.alpha]
    if header.premultiplied and alpha is not None:
        full = np.iinfo(pixels.dtype).max
        share = np.maximum(alpha, 1).astype(np.float32)[..., None]
        colors = np.minimum(np.rint(colors * (full / share)), full).astype(pixels.dtype)
    if header.photometric == WHITE_IS_ZERO:
        colors = np.iinfo(colors.dtype).max - colors
    if header.photometric in {RGB, YCBCR}:
        return Raster(samples=colors, space="rgb", alpha=alpha, notes=notes)
    if header.photometric == CMYK:
        return Raster(samples=colors, space="cmyk", alpha=alpha, notes=notes)
    return Raster(samples=colors[..., 0], space="gray", alpha=alpha, notes=notes)


def _of_floats(pixels: Samples) -> tuple[Samples, tuple[str, ...]]:
    """Floats as uint16: 1 is full, unless some are larger; then the largest is."""
    with np.errstate(all="ignore"):
        finite = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    largest = max(1.0, float(finite.max(initial=0)))
    notes = (f"The TIFF's numbers go up to {largest:g}; that is taken for white.",) if largest > 1 else ()
    return np.rint(np.clip(finite / largest, 0, 1) * 65535).astype(np.uint16), notes


def _palette(file: BinaryIO, header: TiffHeader) -> Samples:
    """Returns the palette (colors, 3). Some writers use 8 bits instead of 16."""
    span = header.palette
    assert span is not None  # noqa: S101 - the header reader refuses such a file
    file.seek(span.at)
    numbers = np.frombuffer(file.read(6 * 2**header.bits), f"{header.order}u2").reshape(3, -1).T.astype(np.uint16)
    return numbers if numbers.max() > 255 else numbers.astype(np.uint8)
