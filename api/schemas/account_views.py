"""Responses about sessions, keys, uploads and webhook secrets."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.base import View, utc, utc_or_none
from shared.api_keys import ApiKey


class UploadView(View):
    """A form for one image, to be sent as multipart/form-data: these fields first, then the file as `file`."""

    id: Annotated[str, Field(description="Identifies the image when the job is submitted.")]
    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_at: datetime


class PartsUploadView(View):
    """An upload by parts. Complete it within a day."""

    id: Annotated[str, Field(description="Identifies the image when the job is submitted.")]
    size_bytes: int
    part_bytes: Annotated[int, Field(description="Size of each part but the last.")]
    parts: Annotated[int, Field(description="Number of parts.")]
    expires_at: datetime


class PartView(View):
    """One part of an upload: PUT these bytes of the file to `url`, without further headers."""

    number: Annotated[int, Field(description="From 1.")]
    offset: Annotated[int, Field(description="Where in the file the part begins, bytes.")]
    size_bytes: int
    received: Annotated[bool, Field(description="Whether the storage has it already.")]
    url: str


class PartList(View):
    parts: tuple[PartView, ...]
    next: Annotated[int | None, Field(description="First part of the next page; null for the last page.")]
    expires_at: Annotated[datetime, Field(description="When the URLs expire; list the parts again then.")]


class FinishedUploadView(View):
    """A complete upload, which a submission can name."""

    id: str
    size_bytes: int


class SessionView(View):
    keys_required: Annotated[bool, Field(description="Whether callers need a key.")]
    owner: Annotated[str | None, Field(description="Owner of the session; null if not logged in.")]


class KeyView(View):
    """An API key, without its secret."""

    id: str
    owner: str
    name: str
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, record: ApiKey) -> "KeyView":
        return cls(
            id=record.id,
            owner=record.owner,
            name=record.name,
            created_at=utc(record.created_at),
            revoked_at=utc_or_none(record.revoked_at),
        )


class NewKeyView(KeyView):
    """A new API key."""

    key: Annotated[str, Field(description="The key; it can't be retrieved again.")]


class KeyList(View):
    keys: tuple[KeyView, ...]


class WebhookSecret(View):
    secret: str
