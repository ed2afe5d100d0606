"""Records of a picture file's header."""

from dataclasses import dataclass
from typing import Literal

from shared.errors import ImageUnreadable

Format = Literal["png", "jpeg", "webp", "gif", "tiff", "heic", "avif", "jxl"]
Size = tuple[int, int]  # width, height
HARD_TO_SHOW: frozenset[Format] = frozenset({"tiff", "heic", "jxl"})  # some browsers don't show these

CUT_OFF = "The image is cut off: the file ends before the picture does."
FIRST_FRAME = "The file is animated; its first frame is used."

# EXIF orientations as (turns of 90 degrees counterclockwise, mirrored left to right before turning).
TURNS: dict[int, tuple[int, bool]] = {
    1: (0, False),
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (1, True),
    6: (3, False),
    7: (3, True),
    8: (1, False),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bytes in the file."""

    at: int
    size: int

    @property
    def end(self) -> int:
        return self.at + self.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Colors:
    """How the file describes its colors. The profile outweighs the code points; neither means sRGB."""

    profile: tuple[Span, ...] = ()  # an ICC profile, in pieces
    deflated: bool = False  # the profile is compressed with zlib
    primaries: int | None = None  # code points of ITU-T H.273
    transfer: int | None = None


@dataclass(frozen=True, kw_only=True)
class Header:
    """A file's header. Subclasses add where the pixels of their format are."""

    format: Format
    size: Size  # pixels as they are stored, before the orientation
    orientation: int = 1  # as EXIF counts, 1 to 8
    colors: Colors = Colors()
    metadata: tuple[Span, ...] = ()  # of formats that can't be written without it: what no pixel depends on
    notes: tuple[str, ...] = ()  # what was ignored, in sentences

    @property
    def displayed(self) -> Size:
        """Returns width and height after the orientation."""
        width, height = self.size
        return (height, width) if TURNS[self.orientation][0] % 2 else (width, height)


def checked_size(width: int, height: int) -> Size:
    """Returns the size. Raises ImageUnreadable if there is none."""
    if width < 1 or height < 1:
        raise ImageUnreadable("The image can't be read: its header gives no size.")
    return width, height
