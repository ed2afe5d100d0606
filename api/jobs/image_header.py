"""What an upload is, from its header and its end. No pixel is decoded here; the worker does that, and may die of it."""

import io
from collections.abc import Callable
from typing import BinaryIO, cast

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from api.jobs.webp_header import read_webp
from shared.errors import DreamError, ImageTooLarge, ImageUnreadable, UnsupportedImage
from shared.jobs import InputImage

MAX_HEADER_BYTES = 16 << 20  # profiles and camera notes; real ones stay below a few MB
MAX_PNG_CHUNKS = 200_000  # 256 MB in the smallest pieces that encoders write
TURNED = {5, 6, 7, 8}  # EXIF orientations that swap width and height
CUT_OFF = "The image is cut off: the file ends before the picture does."
FOREIGN = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"%PDF": "a PDF",
    b"<svg": "an SVG",
    b"<?xml": "an XML",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
}
FOREIGN_BRANDS = {b"heic": "a HEIC", b"heix": "a HEIC", b"mif1": "a HEIF", b"avif": "an AVIF"}

Size = tuple[int, int]  # width, height, as displayed


def sniff(file: BinaryIO, *, max_pixels: int) -> InputImage:
    """What the file's header says, with the file checked for completeness; the file is rewound.

    Raises UnsupportedImage, ImageUnreadable or ImageTooLarge.
    """
    size_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(16)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        name, read = "png", _png
    elif start.startswith(b"\xff\xd8\xff"):
        name, read = "jpeg", _jpeg
    elif start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        name, read = "webp", _webp
    else:
        raise UnsupportedImage(_foreign(start))
    width, height = _guarded(read, file)
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"The image has {width * height:,} pixels ({width} x {height}); this service accepts {max_pixels:,}."
        )
    file.seek(0)
    return InputImage.model_validate({"format": name, "width": width, "height": height, "size_bytes": size_bytes})


def _guarded(read: Callable[[BinaryIO], Size], file: BinaryIO) -> Size:
    file.seek(0)
    try:
        width, height = read(file)
    except DreamError:
        raise
    except Warning as exc:
        raise ImageUnreadable(
            f"The image's metadata is damaged ({str(exc).strip(' .')}); strip it and try again."
        ) from exc
    except Exception as exc:  # hostile bytes make parsers raise nearly anything
        raise ImageUnreadable("The image can't be read: its header is damaged or cut off.") from exc
    if width < 1 or height < 1:
        raise ImageUnreadable("The image can't be read: its header gives no size.")
    return width, height


def _png(file: BinaryIO) -> Size:
    # The plugin's class, not Image.open: that would guess among all formats and hold its own opinion on large images.
    image = PngImageFile(_header(file))
    if getattr(image, "is_animated", False):
        raise UnsupportedImage("Animated images can't be dreamed; send one frame.")
    late_exif = _png_rest(file)
    if late_exif:
        image.info.setdefault("exif", late_exif)
    return _displayed(image.size, image.info)


def _png_rest(file: BinaryIO) -> bytes | None:
    """Walks to the end chunk; the EXIF data, where it comes after the pixels, as ImageMagick puts it."""
    end = file.seek(0, io.SEEK_END)
    at, exif = 8, None
    for _ in range(MAX_PNG_CHUNKS):
        file.seek(at)
        head = file.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        at += 12 + length
        if len(head) < 8 or at > end:
            raise ImageUnreadable(CUT_OFF)
        if name == b"IEND":
            return exif
        if name == b"eXIf" and length <= MAX_HEADER_BYTES:
            exif = file.read(length)
    raise ImageUnreadable("The PNG file has more parts than any picture needs.")


def _jpeg(file: BinaryIO) -> Size:
    image = JpegImageFile(_header(file))
    if not _holds(file, b"\xff\xd9", start=file.tell()):  # in the picture's data, FF D9 can only be its end
        raise ImageUnreadable(CUT_OFF)
    return _displayed(image.size, image.info)


def _webp(file: BinaryIO) -> Size:
    header = read_webp(file)
    info = {"exif": header.exif, "xmp": header.xmp}
    return _displayed((header.width, header.height), {key: value for key, value in info.items() if value})


def _displayed(size: Size, info: dict[str | tuple[int, int], object]) -> Size:
    """Width and height after the orientation that the metadata asks for."""
    bare = Image.Image()  # PngImageFile.getexif would decode the picture to look behind it
    bare.info = info
    width, height = size
    return (height, width) if bare.getexif().get(ExifTags.Base.Orientation) in TURNED else size


def _holds(file: BinaryIO, needle: bytes, *, start: int) -> bool:
    """True if the bytes occur anywhere from there on; pieces overlap, so that none is missed between two."""
    file.seek(start)
    kept = b""
    while piece := file.read(1 << 20):
        if needle in kept + piece:
            return True
        kept = piece[1 - len(needle) :]
    return False


def _foreign(start: bytes) -> str:
    what = next((name for magic, name in FOREIGN.items() if start.startswith(magic)), None)
    if start[4:8] == b"ftyp":
        what = FOREIGN_BRANDS.get(start[8:12])
    said = f"This is {what} file" if what else "This is not an image"
    return f"{said}; send a PNG, JPEG or WebP."


def _header(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return cast(BinaryIO, _HeaderReader(file))


class _HeaderReader(io.RawIOBase):
    """The file, of which only a header's worth may be read: metadata can be as large as the file is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise ImageUnreadable("The image's metadata is larger than any picture needs; strip it and try again.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
