"""Converts a file's colors to sRGB, without rounding to 8 bits in between."""

from functools import lru_cache

import imagecodecs
import numpy as np
import numpy.typing as npt

from shared.images.header import Colors
from worker.dream import scratch
from worker.dream.types import Image
from worker.images.raster import Raster, Samples, Space

SRGB: bytes = imagecodecs.cms_profile("srgb")
SPACES: dict[bytes, Space] = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk"}  # of ICC profiles

# ITU-T H.273: x and y of red, green and blue; the white is D65 in all of these.
PRIMARIES = {
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
}
HDR = {16: "PQ", 18: "HLG"}  # transfer functions
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}  # transfer functions that are powers; the others are near sRGB's
UNUSABLE = "The color profile can't be used ({}); the colors are read as sRGB."


def to_srgb(raster: Raster, profile: bytes | None, colors: Colors) -> tuple[Image, tuple[str, ...]]:
    """Returns the picture as float32 (H, W, 3), 0..255, in sRGB, and notes on what could not be followed.

    profile: ICC; where there is none, what `colors` says by its code points, and sRGB where it says nothing.
    """
    notes: tuple[str, ...] = ()
    if profile is None:
        if colors.transfer in HDR:
            notes = (f"The picture is HDR ({HDR[colors.transfer]}); it is read as if it were not.",)
        if colors.transfer in GAMMAS:
            raster = _with_curve(raster, GAMMAS[colors.transfer])
        profile = _of_primaries(colors.primaries) if raster.space == "rgb" else None
    if profile is not None:
        space = SPACES.get(profile[16:20])
        if space == "rgb" and raster.space == "gray":
            raster = _as_rgb(raster)
        if space != raster.space:
            return _converted(raster, None), (*notes, UNUSABLE.format(f"it is not for {raster.space} pictures"))
        try:
            return _converted(raster, profile), notes
        except imagecodecs.CmsError:
            notes = (*notes, UNUSABLE.format("it is damaged or of an unknown kind"))
    return _converted(raster, None), notes


@lru_cache
def _of_primaries(number: int | None) -> bytes | None:
    """Returns a profile with these primaries and sRGB's curve; None where they are sRGB's or unknown."""
    if number not in PRIMARIES:
        return None
    numbers = PRIMARIES[number]
    primaries = [part for at in range(0, 6, 2) for part in (*numbers[at : at + 2], 1.0)]
    curve = np.rint(_srgb_to_linear(np.linspace(0, 1, 4096)) * 65535).astype(np.uint16)
    profile: bytes = imagecodecs.cms_profile(
        "rgb", whitepoint=[0.3127, 0.3290, 1.0], primaries=primaries, transferfunction=curve
    )
    return profile


def _with_curve(raster: Raster, gamma: float) -> Raster:
    """Converts numbers whose power by gamma is linear light to sRGB's."""
    full = np.iinfo(raster.samples.dtype).max
    light = np.linspace(0, 1, full + 1) ** gamma
    table = np.rint(_linear_to_srgb(light) * 65535).astype(np.uint16)
    return Raster(samples=table[raster.samples], space=raster.space, alpha=raster.alpha)


def _linear_to_srgb(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def _srgb_to_linear(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _as_rgb(raster: Raster) -> Raster:
    return Raster(samples=np.repeat(raster.samples[..., None], 3, axis=2), space="rgb", alpha=raster.alpha)


def _converted(raster: Raster, profile: bytes | None) -> Image:
    width, height = raster.size
    image: Image = scratch.empty((height, width, 3))
    for rows in scratch.bands(height, width):
        band = np.ascontiguousarray(raster.samples[rows])
        image[rows] = _floats(band, raster.space) if profile is None else _by_profile(band, raster.space, profile)
    return image


def _by_profile(band: Samples, space: Space, profile: bytes) -> Image:
    converted = imagecodecs.cms_transform(
        band,
        profile,
        SRGB,
        colorspace=space,
        outcolorspace="rgb",
        outdtype=np.uint16,
        intent=imagecodecs.CMS.INTENT.PERCEPTUAL,
    )
    return converted.reshape(*band.shape[:2], 3) * np.float32(1 / 257)


def _floats(band: Samples, space: Space) -> Image:
    floats = band * np.float32(1 / 257) if band.dtype == np.uint16 else band.astype(np.float32)
    if space == "gray":
        return np.repeat(floats[..., None], 3, axis=2)
    if space == "cmyk":
        return (255 - floats[..., :3]) * (255 - floats[..., 3:]) / np.float32(255)
    return floats
