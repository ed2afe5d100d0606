"""Makes ICC profiles of every class, and damaged ones."""

from collections.abc import Iterator

import imagecodecs
from PIL import ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
XYZ = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
D65 = [0.3127, 0.3290, 1.0]
P3 = imagecodecs.cms_profile(
    "rgb", whitepoint=D65, primaries=[0.680, 0.320, 1, 0.265, 0.690, 1, 0.150, 0.060, 1], gamma=2.2
)
ADOBE = imagecodecs.cms_profile(
    "rgb", whitepoint=D65, primaries=[0.64, 0.33, 1, 0.21, 0.71, 1, 0.15, 0.06, 1], gamma=2.2
)
GRAY = imagecodecs.cms_profile("gray", gamma=2.2)


def of_class(kind: bytes) -> bytes:
    return SRGB[:12] + kind + SRGB[16:]


def profiles() -> Iterator[tuple[str, bytes, bool]]:
    """Yields name, profile, and whether it must be ignored for an RGB picture."""
    yield "srgb", SRGB, False
    yield "display-p3", P3, False
    yield "adobe-rgb", ADOBE, False
    yield "srgb-scanner", of_class(b"scnr"), False
    for kind in (b"prtr", b"link", b"abst", b"spac", b"nmcl"):
        yield f"srgb-{kind.decode()}", of_class(kind), False
    yield "lab", LAB, True
    yield "xyz", XYZ, True
    yield "gray", GRAY, True
    yield "cut", SRGB[: len(SRGB) // 2], True
    yield "bytes", b"\xff" * 500, True
    yield "text", b"not a profile", True
    yield "header-alone", SRGB[:128], True
    yield "no-curves", SRGB.replace(b"rTRC", b"xTRC"), True
