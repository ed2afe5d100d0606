"""The sizes at which a network sees an image: octaves, and whole images without tiles (guides, feature maps)."""

from shared.errors import InvalidField

MAPS_PX = 1024  # the image's longer side for feature maps; a larger image shows no more of a channel
GUIDE_PX = 512  # the guide's longer side: 768 vectors at stride 16, more than the 196 of Google's notebook
GUIDE_SHORTEST_PX = 128  # minimum of its shorter side


def whole_size(height: int, width: int, *, longest_px: int, minimum_px: int) -> tuple[int, int]:
    """Returns the (height, width): at most `longest_px` on the longer side, at least `minimum_px` on the shorter one.

    Where both can't hold, the network's minimum takes precedence. Shrinks, or enlarges, no more than needed.
    """
    scale = max(min(1.0, longest_px / max(height, width)), minimum_px / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def check_whole_size(height: int, width: int, *, longest_px: int, minimum_px: int, path: str) -> None:
    """Raises InvalidField for an image so long and thin that the network would see more pixels than of a square one."""
    tall, wide = whole_size(height, width, longest_px=longest_px, minimum_px=minimum_px)
    if tall * wide > longest_px**2:
        aspect = longest_px**2 // minimum_px**2
        raise InvalidField(
            f"an image of {width} x {height} pixels is too long and thin: the network needs {minimum_px} pixels on the "
            f"shorter side, so the longer side can be at most {aspect} times as long. Crop it",
            path=path,
        )


def octave_sizes(height: int, width: int, *, octaves: int, scale: float, minimum_px: int) -> list[tuple[int, int]]:
    """Returns (height, width) of each octave, smallest first; fewer than asked if the network's minimum is reached."""
    sizes = [(height, width)]
    while len(sizes) < octaves:
        below = (int(sizes[-1][0] * scale), int(sizes[-1][1] * scale))
        if min(below) < minimum_px:
            break
        sizes.append(below)
    return sizes[::-1]
