"""What the interface takes, as records."""

import base64
import binascii
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from shared.api_keys import OWNER
from shared.jobs import JobState, Kind, Priority, WebhookEvent
from shared.params import DreamParams, FeatureMapsParams, Frozen

MAX_DEADLINE_S = 30 * 86400


class JobOptions(Frozen):
    """What surrounds the parameters of any job."""

    kind: Annotated[Kind, Field(description="What is made of the image.")] = "dream"
    priority: Annotated[Priority, Field(description="Higher ones are claimed first.")] = "normal"
    deadline_s: Annotated[
        float | None,
        Field(gt=0, le=MAX_DEADLINE_S, description="Seconds from now by which the job must be done, or it fails."),
    ] = None
    webhook_url: Annotated[
        str | None,
        Field(max_length=2000, pattern=r"^https?://", description="Told of the job by signed POSTs; a public address."),
    ] = None
    webhook_events: Annotated[
        tuple[WebhookEvent, ...],
        Field(min_length=1, max_length=2, description="Of what the webhook is told."),
    ] = ("completed",)


class JobForm(JobOptions):
    """The form's fields beside the files; its parameters are JSON text."""

    params: DreamParams = DreamParams()


class FeatureMapsForm(JobOptions):
    """The same for feature maps."""

    params: FeatureMapsParams = FeatureMapsParams()


class UploadRef(Frozen):
    """A picture that was sent straight to the object storage."""

    upload: Annotated[str, Field(max_length=100, description="The `id` that `POST /v1/uploads` gave.")]


class JobRequest(JobOptions):
    """A submission as JSON, whose pictures have been uploaded before."""

    image: UploadRef
    guide: UploadRef | None = None
    mask: UploadRef | None = None
    params: DreamParams = DreamParams()


class FeatureMapsRequest(JobOptions):
    """The same for feature maps: kind `feature_maps`, and no guide or mask."""

    image: UploadRef
    guide: UploadRef | None = None
    mask: UploadRef | None = None
    params: FeatureMapsParams = FeatureMapsParams()


class JobSketch(BaseModel):
    """As much of a request as says what its parameters are."""

    model_config = ConfigDict(extra="ignore")
    kind: Kind = "dream"


class UploadRequest(Frozen):
    """What will be uploaded; may be left out."""

    size_bytes: Annotated[int | None, Field(ge=1, description="Refused here already if it is too large.")] = None
    content_type: Annotated[str | None, Field(max_length=100)] = None


class SessionRequest(Frozen):
    key: Annotated[SecretStr, Field(min_length=1, max_length=200, description="An API key.")]


class KeyRequest(Frozen):
    """Whose key it will be."""

    owner: Annotated[str, Field(pattern=OWNER, description="Jobs belong to the owner; an owner may have several keys.")]
    name: Annotated[str, Field(max_length=100, description="To tell keys apart: `laptop`.")] = ""


class ListQuery(Frozen):
    """Which jobs to list."""

    state: Annotated[
        frozenset[JobState] | None, Field(description="Only these states; several are separated by commas.")
    ] = None
    kind: Annotated[Kind | None, Field(description="Only this kind.")] = None
    limit: Annotated[int, Field(ge=1, le=200, description="At most so many.")] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before; opaque, don't build one.")] = (
        None
    )

    @field_validator("state", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (value.split(",") if value else None) if isinstance(value, str) else value

    @field_validator("cursor")
    @classmethod
    def _refuse_others(cls, value: str | None) -> str | None:
        if value is not None:
            decode_cursor(value)
        return value

    @property
    def before(self) -> str | None:
        """The job that the page before ended with."""
        return None if self.cursor is None else decode_cursor(self.cursor)


def encode_cursor(job_id: str) -> str:
    return base64.urlsafe_b64encode(job_id.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The job id in it. Raises ValueError."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError) as exc:
        raise ValueError("this is no cursor that this service gave out; leave it out to start anew") from exc
