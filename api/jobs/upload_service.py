"""Uploads by parts: large images that clients send directly to the object storage, in pieces that can be repeated."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from pydantic import BaseModel, ConfigDict
from ulid import ULID

from api.jobs.image_intake import is_ulid
from shared.clock import Clock
from shared.errors import (
    ImageTooLarge,
    InvalidField,
    PartsUnsupported,
    TooManyOpenUploads,
    UnfitService,
    UploadIncomplete,
    UploadNotFound,
)
from shared.interfaces import ObjectStorage
from shared.s3 import object_keys

PART_BYTES = 16 << 20  # S3 takes parts of 5 MiB to 5 GiB
MAX_PARTS = 10_000  # S3's limit
PART_URL_S = 3600  # how long a part's URL can be used
KEPT_S = object_keys.UPLOADS_KEPT_S
MAX_OPEN = 16  # per owner
SHOWN_PARTS = 5  # in an error


class OpenUpload(BaseModel):
    """An upload by parts that is not complete, as stored in S3."""

    model_config = ConfigDict(frozen=True)

    multipart: str  # the store's id
    size_bytes: int
    part_bytes: int

    @property
    def parts(self) -> int:
        return -(-self.size_bytes // self.part_bytes)

    def size_of(self, number: int) -> int:
        """Returns the size of that part; the last one is what is left."""
        return min(self.part_bytes, self.size_bytes - (number - 1) * self.part_bytes)


@dataclass(frozen=True, kw_only=True)
class PartToSend:
    number: int
    offset: int
    size_bytes: int
    received: bool
    url: str


@dataclass(frozen=True, kw_only=True)
class UploadService:
    """Begins, completes and aborts uploads by parts. An upload of another owner is like none."""

    storage: ObjectStorage
    clock: Clock
    max_bytes: int
    part_bytes: int = PART_BYTES

    def begin(self, owner: str, size_bytes: int) -> tuple[str, OpenUpload]:
        """Returns the new upload's id. Raises ImageTooLarge, TooManyOpenUploads, PartsUnsupported."""
        if size_bytes > self.max_bytes:
            raise ImageTooLarge(f"The image has {size_bytes:,} bytes; this service accepts {self.max_bytes:,}.")
        if self._open_uploads(owner) >= MAX_OPEN:
            raise TooManyOpenUploads
        upload_id = str(ULID.from_timestamp(self.clock.now()))
        try:
            multipart = self.storage.begin_parts(object_keys.upload(owner, upload_id))
        except UnfitService as exc:
            raise PartsUnsupported from exc
        part_bytes = self.part_bytes
        while part_bytes * MAX_PARTS < size_bytes:
            part_bytes *= 2
        upload = OpenUpload(multipart=multipart, size_bytes=size_bytes, part_bytes=part_bytes)
        # Written second: without it housekeeping finds the upload in the store, and aborts it.
        self.storage.put(object_keys.open_upload(owner, upload_id), upload.model_dump_json().encode())
        if self._open_uploads(owner) > MAX_OPEN:  # others began at the same moment
            self.abort(owner, upload_id)
            raise TooManyOpenUploads
        return upload_id, upload

    def parts(self, owner: str, upload_id: str, *, first: int, limit: int) -> tuple[list[PartToSend], int | None]:
        """Returns up to `limit` parts from number `first` on, and the number that follows them, if any.

        Raises UploadNotFound, InvalidField.
        """
        key, upload = object_keys.upload(owner, upload_id), self._open(owner, upload_id)
        if first > upload.parts:
            raise InvalidField(f"this upload has parts 1 to {upload.parts}", path="first")
        received = {part.number: part.size_bytes for part in self.storage.parts(key, upload.multipart) or ()}
        end = min(first + limit, upload.parts + 1)
        listed = [
            PartToSend(
                number=number,
                offset=(number - 1) * upload.part_bytes,
                size_bytes=upload.size_of(number),
                received=received.get(number) == upload.size_of(number),
                url=self.storage.presigned_part(
                    key, upload.multipart, number, size_bytes=upload.size_of(number), expires_s=PART_URL_S
                ),
            )
            for number in range(first, end)
        ]
        return listed, end if end <= upload.parts else None

    def complete(self, owner: str, upload_id: str) -> int:
        """Joins the parts; the image can then be named in a submission. Returns its size in bytes. Idempotent.

        Raises UploadIncomplete, which names the parts that are missing or of another size, and UploadNotFound.
        """
        key, document = self._key(owner, upload_id), object_keys.open_upload(owner, upload_id)
        text = self.storage.get(document)
        if text is not None:
            upload = OpenUpload.model_validate_json(text)
            parts = self.storage.parts(key, upload.multipart)
            if parts is not None:
                _check_complete(upload, {part.number: part.size_bytes for part in parts})
                self.storage.complete_parts(key, upload.multipart, parts)
        size_bytes = self.storage.size(key)
        if text is not None:
            self.storage.delete([document])
        if size_bytes is None:
            raise UploadNotFound
        return size_bytes

    def abort(self, owner: str, upload_id: str) -> None:
        """Removes the upload, complete or not. Idempotent."""
        if not is_ulid(upload_id):
            return
        key, document = object_keys.upload(owner, upload_id), object_keys.open_upload(owner, upload_id)
        text = self.storage.get(document)
        if text is not None:
            self.storage.abort_parts(key, OpenUpload.model_validate_json(text).multipart)
        self.storage.delete([key, document])

    def _open_uploads(self, owner: str) -> int:
        """Returns their number, or `MAX_OPEN` + 1 if there are more."""
        return len(list(islice(self.storage.keys(object_keys.open_uploads(owner)), MAX_OPEN + 1)))

    def _open(self, owner: str, upload_id: str) -> OpenUpload:
        self._key(owner, upload_id)
        text = self.storage.get(object_keys.open_upload(owner, upload_id))
        if text is None:
            raise UploadNotFound
        return OpenUpload.model_validate_json(text)

    def _key(self, owner: str, upload_id: str) -> str:
        if not is_ulid(upload_id):
            raise UploadNotFound
        return object_keys.upload(owner, upload_id)


def _check_complete(upload: OpenUpload, received: dict[int, int]) -> None:
    wrong = _wrong(upload, received)
    shown = list(islice(wrong, SHOWN_PARTS))
    if shown:
        more = ", and more" if next(wrong, None) else ""
        raise UploadIncomplete(f"Of this upload's {upload.parts} parts, {', '.join(shown)}{more}; send them again.")


def _wrong(upload: OpenUpload, received: dict[int, int]) -> Iterator[str]:
    for number in range(1, upload.parts + 1):
        size = received.pop(number, None)
        if size is None:
            yield f"part {number} is missing"
        elif size != upload.size_of(number):
            yield f"part {number} has {size:,} bytes instead of {upload.size_of(number):,}"
    for number in received:
        yield f"part {number} is one too many"
