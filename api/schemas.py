"""What the interface takes and gives, as records. The client shares them, so nothing of Flask is imported here."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from shared.catalog import Model
from shared.jobs import InputImage, Job, JobError, JobState, Kind, Priority, Progress, WebhookEvent
from shared.keys import OWNER, ApiKey
from shared.params import DreamParams, FeatureMapsParams, Frozen
from shared.presets import Preset

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


class MapsForm(JobOptions):
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


class MapsRequest(JobOptions):
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


class View(BaseModel):
    """Answers may gain fields; clients let unknown ones pass."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Links(View):
    """Where to go from here; what the job does not have is null."""

    self: str
    events: str | None = None
    input: str | None = None
    guide: str | None = None
    mask: str | None = None
    data: Annotated[str | None, Field(description="The numbers behind feature maps, as NPZ.")] = None
    gradients: str | None = None
    result: str | None = None
    preview: str | None = None
    report: str | None = None
    cancel: str | None = None
    retry: str | None = None


class JobView(View):
    """A job as clients see it."""

    id: Annotated[str, Field(description="A ULID: sorts by the time of submission.")]
    kind: Kind
    state: JobState
    priority: Priority
    params: Annotated[DreamParams | FeatureMapsParams, Field(description="With every default filled in.")]
    input: InputImage
    guide: InputImage | None = None
    mask: InputImage | None = None
    progress: Progress
    queue_position: Annotated[int | None, Field(description="Waiting jobs before this one; null unless queued.")]
    waiting_for: Annotated[str | None, Field(description="What a waiting job lacks, in a sentence.")] = None
    attempt: Annotated[int, Field(description="How many times a worker has begun it.")]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    error: JobError | None
    links: Links

    @classmethod
    def of(cls, job: Job, position: int | None, served: frozenset[str] | None = None) -> "JobView":
        """served: what live workers serve, None where that is not known."""
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.state,
            priority=job.priority,
            params=job.params,
            input=job.input,
            guide=job.guide,
            mask=job.mask,
            progress=job.progress,
            queue_position=position,
            waiting_for=_waiting_for(job, served),
            attempt=job.attempt,
            created_at=_utc(job.created_at),
            started_at=_utc_or_none(job.started_at),
            finished_at=_utc_or_none(job.finished_at),
            deadline_at=_utc_or_none(job.deadline_at),
            error=job.error,
            links=_links(job),
        )


class JobPage(View):
    """One page of a list, newest first."""

    jobs: tuple[JobView, ...]
    next_cursor: Annotated[str | None, Field(description="Ask with `?cursor=` for older ones; null at the end.")]


class LayerView(View):
    name: str
    channels: int
    stride: Annotated[int, Field(description="Input pixels per step of the layer's grid.")]


class ModelView(View):
    """A network that can dream."""

    name: str
    title: str
    licence: str
    source: str
    size_bytes: int
    default_layer: str
    minimum_px: Annotated[int, Field(description="Octaves with a shorter side than this are left out.")]
    ready: Annotated[bool | None, Field(description="Whether a live worker serves it; null: can't be known now.")]
    needs: Annotated[
        Literal["download", "worker"] | None, Field(description="What it lacks: its weights, or a worker at all.")
    ]
    layers_url: str

    @classmethod
    def of(cls, model: Model, served: frozenset[str] | None) -> "ModelView":
        """served: what live workers serve, None where that is not known."""
        ready = None if served is None else model.name in served
        needs: Literal["download", "worker"] = "download" if model.url and served else "worker"
        return cls(
            ready=ready,
            needs=needs if ready is False else None,
            name=model.name,
            title=model.title,
            licence=model.licence,
            source=model.source,
            size_bytes=model.size_bytes,
            default_layer=model.default_layer,
            minimum_px=model.minimum_px,
            layers_url=f"/v1/models/{model.name}/layers",
        )


class ModelList(View):
    models: tuple[ModelView, ...]


class LayerList(View):
    model: str
    default_layer: str
    layers: tuple[LayerView, ...]

    @classmethod
    def of(cls, model: Model) -> "LayerList":
        layers = (LayerView(name=layer.name, channels=layer.channels, stride=layer.stride) for layer in model.layers)
        return cls(model=model.name, default_layer=model.default_layer, layers=tuple(layers))


class GradientView(View):
    octave: Annotated[int, Field(description="0 is the smallest.")]
    url: str


class GradientList(View):
    gradients: tuple[GradientView, ...]


class PresetView(View):
    """A name for parameters that go well together."""

    name: str
    title: str
    sentence: str
    kind: Annotated[Literal["look", "classic"], Field(description="This project's own, or a recipe of the field's.")]
    source: Annotated[str | None, Field(description="Where a classic comes from.")]
    seen: Annotated[bool, Field(description="Whether this project has looked at what it does; else it is by report.")]
    model: str
    thumbnail: Annotated[str | None, Field(description="A picture of it, under the page's files.")]
    params: Annotated[dict[str, Any], Field(description="To be sent as a job's `params`.")]

    @classmethod
    def of(cls, preset: Preset) -> "PresetView":
        return cls(
            name=preset.name,
            title=preset.title,
            sentence=preset.sentence,
            kind=preset.kind,
            source=preset.source,
            seen=preset.seen,
            model=preset.params["model"],
            thumbnail=f"looks/{preset.name}.webp" if preset.seen else None,
            params=dict(preset.params),
        )


class PresetList(View):
    presets: tuple[PresetView, ...]


class UploadView(View):
    """A form for one picture, to be POSTed as multipart/form-data: these fields first, then the file as `file`."""

    id: Annotated[str, Field(description="Names the picture when the job is submitted.")]
    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_at: datetime


class SessionView(View):
    keys_required: Annotated[bool, Field(description="Whether callers have to log in here.")]
    owner: Annotated[str | None, Field(description="Whose jobs are shown; null when not logged in.")]


class KeyView(View):
    """An API key, without the key."""

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
            created_at=_utc(record.created_at),
            revoked_at=_utc_or_none(record.revoked_at),
        )


class NewKeyView(KeyView):
    """A new API key."""

    key: Annotated[str, Field(description="Never shown again.")]


class KeyList(View):
    keys: tuple[KeyView, ...]


class WebhookSecret(View):
    secret: str


class WorkerView(View):
    """A live worker."""

    name: str
    device: str
    models: tuple[str, ...]
    busy: bool
    job_id: Annotated[str | None, Field(description="What it runs, where that is yours.")]


class Throughput(View):
    pixels_per_second: Annotated[float | None, Field(description="Of all that runs now; null when nothing does.")]


class Limits(View):
    max_pixels: int
    max_upload_bytes: int


class StatusView(View):
    """How the whole service is doing."""

    workers: tuple[WorkerView, ...]
    queued: int
    running: int
    oldest_queued_s: Annotated[float, Field(description="Since the oldest waiting job was submitted.")]
    throughput: Throughput
    limits: Limits


class Alive(View):
    status: str = "ok"


class Readiness(View):
    """Whether a job submitted now would run."""

    ready: bool
    redis: Annotated[str, Field(description="`ok`, or what is wrong.")]
    storage: Annotated[str, Field(description="`ok`, or what is wrong.")]
    workers: Annotated[int, Field(description="Workers alive now.")]


class Mistake(View):
    """One thing wrong with a request."""

    path: Annotated[str, Field(description="Where, dotted: `params.layers.0.layer`.")]
    detail: str
    suggestion: Annotated[str | None, Field(description="The nearest valid choice.")] = None


class Problem(View):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="A sentence that says what to do.")]
    code: Annotated[str, Field(description="Stable; for programs.")]
    path: str | None = None
    suggestion: str | None = None
    errors: Annotated[tuple[Mistake, ...], Field(description="Every mistake, when there are several.")] = ()

    def body(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _utc_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else _utc(seconds)


def _waiting_for(job: Job, served: frozenset[str] | None) -> str | None:
    if job.state is not JobState.QUEUED or served is None or job.params.model in served:
        return None
    if not served:
        return "No worker is alive; the job starts as soon as one is."
    return f"No live worker serves the model '{job.params.model}' right now; the job starts as soon as one does."


def _links(job: Job) -> Links:
    here = f"/v1/jobs/{job.id}"
    cancelable = job.state in {JobState.QUEUED, JobState.RUNNING, JobState.CANCELING}
    claimed = job.claim is not None and job.state is not JobState.EXPIRED
    return Links(
        self=here,
        events=f"{here}/events",
        input=f"{here}/input" if job.state is not JobState.EXPIRED else None,
        guide=f"{here}/guide" if job.guide and job.state is not JobState.EXPIRED else None,
        mask=f"{here}/mask" if job.mask and job.state is not JobState.EXPIRED else None,
        data=f"{here}/data" if job.kind == "feature_maps" and job.state is JobState.SUCCEEDED else None,
        gradients=f"{here}/gradients" if isinstance(job.params, DreamParams) and job.params.keep_gradients else None,
        result=f"{here}/result" if job.state is JobState.SUCCEEDED else None,
        preview=f"{here}/preview" if claimed else None,
        report=f"{here}/report" if job.state is JobState.SUCCEEDED else None,
        cancel=f"{here}/cancel" if cancelable else None,
        retry=f"{here}/retry" if job.state is JobState.FAILED else None,
    )
