"""Request bodies, forms and queries."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from shared.api_keys import OWNER
from shared.jobs.file_names import title
from shared.jobs.job import JobState, Kind, Priority, WebhookEvent
from shared.params import DreamParams, FeatureMapsParams, Frozen

MAX_DEADLINE_S = 30 * 86400


def _title(name: str) -> str:
    kept = title(name)
    if kept is None:
        raise ValueError("nothing is left of this name once it is cleaned; send another one")
    return kept


Name = Annotated[
    str,
    Field(
        max_length=1000,
        description="A title: shown in lists, and downloads are named after it. 255 bytes at most.",
    ),
    AfterValidator(_title),
]


class JobOptions(Frozen):
    """Options of any job, besides its parameters."""

    kind: Annotated[Kind, Field(description="What to make of the image.")] = "dream"
    priority: Annotated[Priority, Field(description="Jobs with a higher priority are claimed first.")] = "normal"
    deadline_s: Annotated[
        float | None,
        Field(gt=0, le=MAX_DEADLINE_S, description="Seconds from now after which an unfinished job fails."),
    ] = None
    name: Annotated[Name | None, Field(description="A title; else that of the photograph's file.")] = None
    preset: Annotated[
        str | None,
        Field(
            max_length=100,
            description="A preset, as `GET /v1/presets` lists it; `params` overrides its parameters. Dreams only.",
        ),
    ] = None
    webhook_url: Annotated[
        str | None,
        Field(
            max_length=2000,
            pattern=r"^https?://",
            description="Public address that receives signed webhooks about the job.",
        ),
    ] = None
    webhook_events: Annotated[
        tuple[WebhookEvent, ...],
        # fail_fast: a long list of wrong events costs no more than one of them.
        Field(min_length=1, max_length=2, fail_fast=True, description="Events that are sent to the webhook."),
    ] = ("completed",)


class JobForm(JobOptions):
    """The form's fields other than files; its parameters are JSON text."""

    params: DreamParams = DreamParams()


class FeatureMapsForm(JobOptions):
    """The form's fields for feature maps."""

    params: FeatureMapsParams = FeatureMapsParams()


class UploadRef(Frozen):
    """An image uploaded directly to the object storage."""

    upload: Annotated[str, Field(max_length=100, description="The `id` of an upload.")]


class JobRequest(JobOptions):
    """A submission as JSON, for images uploaded earlier."""

    image: UploadRef
    guide: UploadRef | None = None
    mask: UploadRef | None = None
    params: DreamParams = DreamParams()


class FeatureMapsRequest(JobOptions):
    """A submission as JSON for feature maps: kind `feature_maps`, without guide or mask."""

    image: UploadRef
    guide: UploadRef | None = None
    mask: UploadRef | None = None
    params: FeatureMapsParams = FeatureMapsParams()


class JobSketch(BaseModel):
    """The one field of a request that decides how to parse the rest."""

    model_config = ConfigDict(extra="allow")
    kind: Kind = "dream"


class JobPatch(Frozen):
    """Changes to a job."""

    name: Annotated[Name | None, Field(description="The new title; null takes it away.")]


class RetryRequest(Frozen):
    """How to retry a job; optional."""

    deadline_s: Annotated[
        float | None,
        Field(
            gt=0,
            le=MAX_DEADLINE_S,
            description="A new deadline, seconds from now; null for none. Without it the job keeps its own.",
        ),
    ] = None


class UploadRequest(Frozen):
    """The planned upload; optional."""

    size_bytes: Annotated[int | None, Field(ge=1, description="Size of the file; refused if too large.")] = None
    content_type: Annotated[str | None, Field(max_length=100)] = None


class PartsRequest(Frozen):
    """An upload by parts that begins."""

    size_bytes: Annotated[int, Field(ge=1, description="Size of the file; refused if too large.")]
    content_type: Annotated[str | None, Field(max_length=100)] = None


class PartsQuery(Frozen):
    """Which parts to list."""

    first: Annotated[int, Field(ge=1, le=10_000, description="Number of the first part.")] = 1
    limit: Annotated[int, Field(ge=1, le=100, description="Maximum number of parts.")] = 50


class SessionRequest(Frozen):
    key: Annotated[SecretStr, Field(min_length=1, max_length=200, description="An API key.")]


class KeyRequest(Frozen):
    """The key to create."""

    owner: Annotated[str, Field(pattern=OWNER, description="Owner of the key's jobs; an owner can have several keys.")]
    name: Annotated[str, Field(max_length=100, description="Label to tell keys apart, such as `laptop`.")] = ""


class ListQuery(Frozen):
    """Which jobs to list."""

    state: Annotated[
        Annotated[frozenset[JobState], Field(fail_fast=True)] | None,
        Field(description="Only these states, separated by commas."),
    ] = None
    kind: Annotated[Kind | None, Field(description="Only this kind.")] = None
    limit: Annotated[int, Field(ge=1, le=200, description="Maximum number of jobs.")] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the previous page; opaque.")] = None

    @field_validator("state", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (value.split(",") if value else None) if isinstance(value, str) else value

    @field_validator("cursor")
    @classmethod
    def _check_cursor(cls, value: str | None) -> str | None:
        if value is not None:
            decode_cursor(value)
        return value

    @property
    def before(self) -> str | None:
        """The last job id of the previous page."""
        return None if self.cursor is None else decode_cursor(self.cursor)


def encode_cursor(job_id: str) -> str:
    return base64.urlsafe_b64encode(job_id.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Returns the job id that the cursor encodes. Raises ValueError."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError) as exc:
        raise ValueError("Invalid cursor; omit it to start from the first page") from exc
