"""A job's record, its states, and the documents that S3 keeps of it."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.images.header import Format as ImageFormat
from shared.params import Params


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED}

    @property
    def is_claimed(self) -> bool:
        return self in {JobState.RUNNING, JobState.CANCELING}


# Every legal transition. The Lua scripts make them; the tests hold the scripts to this table.
TRANSITIONS: frozenset[tuple[JobState, JobState]] = frozenset(
    {
        (JobState.QUEUED, JobState.RUNNING),  # claimed
        (JobState.QUEUED, JobState.CANCELED),
        (JobState.QUEUED, JobState.FAILED),  # the deadline passed while it waited
        (JobState.QUEUED, JobState.SUCCEEDED),  # Redis lost its last second: the outcome is in S3
        (JobState.RUNNING, JobState.CANCELED),  # likewise
        (JobState.RUNNING, JobState.SUCCEEDED),
        (JobState.RUNNING, JobState.FAILED),
        (JobState.RUNNING, JobState.QUEUED),  # drained, or its worker died
        (JobState.RUNNING, JobState.CANCELING),
        (JobState.CANCELING, JobState.CANCELED),
        (JobState.CANCELING, JobState.SUCCEEDED),  # it finished before the cancel arrived
        (JobState.CANCELING, JobState.FAILED),
        (JobState.FAILED, JobState.QUEUED),  # retry: a new retry_count
        (JobState.CANCELED, JobState.QUEUED),  # likewise
        (JobState.SUCCEEDED, JobState.EXPIRED),  # retention
        (JobState.FAILED, JobState.EXPIRED),
        (JobState.CANCELED, JobState.EXPIRED),
    }
)

PRIORITIES = ("high", "normal", "low")
Priority = Literal["high", "normal", "low"]
Kind = Literal["dream", "feature_maps"]


class Document(BaseModel):
    """A JSON document in S3. Ignores unknown fields, because old and new workers run side by side."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: Literal[1] = 1


class InputImage(BaseModel):
    """Format and size of a submitted image, from its header."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: ImageFormat
    width: int  # pixels, as displayed: after the EXIF orientation
    height: int
    size_bytes: int
    notes: tuple[str, ...] = ()  # what of the file is ignored, in sentences


WebhookEvent = Literal["started", "completed"]


class Webhook(BaseModel):
    """Where to deliver webhooks, and of which events."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    url: str
    events: tuple[WebhookEvent, ...] = ("completed",)
    api_url: str = ""  # the API's address as the client reaches it, which begins the links


class Manifest(Document):
    """`jobs/{id}/manifest.json`: the accepted request; immutable."""

    id: str
    kind: Kind
    owner: str
    priority: Priority
    params: Params  # resolved
    input: InputImage
    guide: InputImage | None = None
    mask: InputImage | None = None
    name: str | None = None  # of the photograph's file, cleaned
    preset: str | None = None  # that the parameters started from
    changed: tuple[str, ...] = ()  # names of the parameters that differ from the preset's
    created_at: float  # Unix time, seconds
    deadline_at: float | None = None  # Unix time, seconds
    webhook: Webhook | None = None


class JobName(Document):
    """`jobs/{id}/name.json`: what the owner calls the job now; outweighs the manifest."""

    name: str | None


class Pending(Document):
    """`pending/{id}`: this job still needs an outcome for this retry count."""

    retry_count: int = 0


class JobError(BaseModel):
    """Why a job failed."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    code: str
    message: str
    retryable: bool = False


class Outcome(Document):
    """`jobs/{id}/outcome.json`, or `outcome-{retry_count}.json` after a retry: the first one written counts."""

    retry_count: int = 0
    state: Literal[JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED]
    finished_at: float  # Unix time, seconds
    claim: str | None = None  # the attempt whose outputs count; null when none produced any
    started_at: float | None = None
    attempt: int = 0
    error: JobError | None = None


class JobProgress(BaseModel):
    """How far a job is, counted in pixel-steps over all octaves, so that it moves evenly. It never goes back."""

    model_config = ConfigDict(frozen=True)
    octave: Annotated[int, Field(description="The current octave; 0 is the smallest.")] = 0
    octaves: int = 0
    iteration: Annotated[int, Field(description="Iterations completed in this octave.")] = 0
    iterations: int = 0
    fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    pixels_per_second: float | None = None
    eta_seconds: Annotated[float | None, Field(description="Estimate of the time left.")] = None
    eta_low_seconds: Annotated[
        float | None,
        Field(
            description="The time left is probably not below this. The range is wide until a tenth of the work is done."
        ),
    ] = None
    eta_high_seconds: Annotated[float | None, Field(description="The time left is probably not above this.")] = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """The live state of one job, as Redis holds it."""

    id: str  # ULID
    kind: Kind
    owner: str
    priority: Priority
    state: JobState
    params: Params  # resolved; the first attempt fills in a dream's tile_size
    input: InputImage
    guide: InputImage | None = None
    mask: InputImage | None = None
    name: str | None = None  # the title; at first that of the photograph's file
    preset: str | None = None  # that the parameters started from
    changed: tuple[str, ...] = ()  # names of the parameters that differ from the preset's
    created_at: float  # Unix time, seconds
    deadline_at: float | None = None
    started_at: float | None = None  # start of the first attempt since the last retry
    finished_at: float | None = None
    retry_count: int = 0  # retries so far
    attempt: int = 0  # claims so far, retries included
    deaths: int = 0  # attempts that died since the last new checkpoint
    claim: str | None = None  # the running attempt, or the one whose outputs count
    worker: str | None = None
    progress: JobProgress = dataclasses.field(default_factory=JobProgress)
    error: JobError | None = None
    version: int = 0  # grows with every change that a client can see

    @classmethod
    def from_manifest(cls, manifest: Manifest, *, retry_count: int = 0) -> "Job":
        """Returns the job as it was accepted: queued."""
        return cls(
            id=manifest.id,
            kind=manifest.kind,
            owner=manifest.owner,
            priority=manifest.priority,
            state=JobState.QUEUED,
            params=manifest.params,
            input=manifest.input,
            guide=manifest.guide,
            mask=manifest.mask,
            name=manifest.name,
            preset=manifest.preset,
            changed=manifest.changed,
            created_at=manifest.created_at,
            deadline_at=manifest.deadline_at,
            retry_count=retry_count,
        )

    def ended(self, outcome: Outcome) -> "Job":
        """Returns the job as that outcome leaves it."""
        return dataclasses.replace(
            self,
            state=outcome.state,
            finished_at=outcome.finished_at,
            started_at=outcome.started_at,
            attempt=max(self.attempt, outcome.attempt),
            claim=outcome.claim,
            worker=None,
            error=outcome.error,
            progress=JobProgress(fraction=1.0) if outcome.state is JobState.SUCCEEDED else self.progress,
        )
