"""Checks an upload by its header and its end. No pixel is decoded: a crashing decoder must not take the API down."""

import contextlib
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ulid import ULID

from api.jobs.disk_budget import COPIES, DiskBudget, Hold
from api.jobs.submission import Picture, Sent
from shared.errors import ImageTooLarge, ImageUnreadable, InvalidField, LocalDiskError, UnsupportedImage
from shared.images.formats.plain import without_metadata
from shared.images.read import check_pixels, read_header
from shared.images.reader import Readable
from shared.interfaces import ObjectStorage
from shared.jobs.job import InputImage
from shared.s3 import object_keys
from shared.s3.ranged_file import RangedFile


def read_input_image(file: Readable, *, max_pixels: int, formats: Collection[str] | None = None) -> InputImage:
    """Reads the file's header and checks that the file is complete. Rewinds the file.

    formats: those that are accepted; all of them when None.
    Raises UnsupportedImage, ImageUnreadable or ImageTooLarge.
    """
    header = read_header(file, formats=formats)
    check_pixels(header, max_pixels)
    width, height = header.displayed
    size_bytes = file.seek(0, 2)
    file.seek(0)
    return InputImage(format=header.format, width=width, height=height, size_bytes=size_bytes, notes=header.notes)


@dataclass(frozen=True, kw_only=True)
class ImageIntake:
    """Takes the images of submissions: sent with the request, or uploaded to S3 earlier."""

    storage: ObjectStorage
    disk: DiskBudget
    max_pixels: int
    formats: Collection[str] | None = None
    strip_inputs: bool = False

    @contextlib.contextmanager
    def checked(
        self, owner: str, image: Picture, field: str, object_key: str
    ) -> Iterator[tuple[InputImage, BinaryIO | None]]:
        """Returns what the picture's header says, and the file, None where it is already stored under its key."""
        if isinstance(image, Sent):
            with self._as_stored(image.file, field) as (header, file):
                yield header, file
            return
        # Copied first: an upload's form can be used again, so what is checked must be what the job keeps.
        if not (is_ulid(image.upload_id) and self.storage.copy(object_keys.upload(owner, image.upload_id), object_key)):
            raise InvalidField("there is no such upload; it was never finished, or has expired", path=f"{field}.upload")
        size_bytes = self.storage.size(object_key) or 0
        if not self.strip_inputs:
            yield self._read_header(RangedFile(self.storage, object_key, size_bytes), field), None
            return
        try:
            with Hold(self.disk, f"owner:{owner}") as hold, tempfile.TemporaryFile() as copy:
                hold.grow_to(size_bytes * COPIES)
                self.storage.download(object_key, copy)
                with self._as_stored(copy, field) as stored:
                    yield stored
        except OSError as exc:
            raise LocalDiskError from exc

    @contextlib.contextmanager
    def _as_stored(self, file: BinaryIO, field: str) -> Iterator[tuple[InputImage, BinaryIO]]:
        """Returns the picture as it is stored: as it came, or without its metadata."""
        header = self._read_header(file, field)
        if not self.strip_inputs:
            yield header, file
            return
        try:
            with tempfile.TemporaryFile() as stripped:
                without_metadata(file, read_header(file), stripped)
                # What was ignored of the file that came can't be seen in the copy any more.
                yield self._read_header(stripped, field).model_copy(update={"notes": header.notes}), stripped
        except OSError as exc:
            raise LocalDiskError from exc

    def _read_header(self, file: Readable, field: str) -> InputImage:
        try:
            return read_input_image(file, max_pixels=self.max_pixels, formats=self.formats)
        except (ImageUnreadable, ImageTooLarge, UnsupportedImage) as exc:
            if field == "image":
                raise
            raise type(exc)(f"The {field}: {exc}") from exc  # of three pictures, which one


def is_ulid(text: str) -> bool:
    try:
        return str(ULID.from_str(text)) == text
    except ValueError:
        return False
