"""Responses about jobs."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.base import View, utc, utc_or_none
from shared.jobs.fleet import Fleet
from shared.jobs.job import InputImage, Job, JobError, JobProgress, JobState, Kind, Priority
from shared.params import DreamParams, FeatureMapsParams


class Links(View):
    """Addresses related to a job; null for those that it does not have."""

    self: str
    events: str | None = None
    input: str | None = None
    guide: str | None = None
    mask: str | None = None
    data: Annotated[str | None, Field(description="Data of feature maps, as NPZ.")] = None
    gradients: str | None = None
    result: str | None = None
    preview: str | None = None
    report: str | None = None
    cancel: str | None = None
    retry: str | None = None


class JobView(View):
    """A job."""

    id: Annotated[str, Field(description="A ULID; sorts by time of submission.")]
    kind: Kind
    state: JobState
    name: Annotated[str | None, Field(description="The title; at first that of the photograph's file.")] = None
    priority: Priority
    params: Annotated[
        DreamParams | FeatureMapsParams, Field(description="The parameters, with all defaults filled in.")
    ]
    input: InputImage
    guide: InputImage | None = None
    mask: InputImage | None = None
    progress: JobProgress
    queue_position: Annotated[
        int | None, Field(description="Number of queued jobs ahead of this one; null unless queued.")
    ]
    waiting_for: Annotated[str | None, Field(description="What a queued job is waiting for, as a sentence.")] = None
    attempt: Annotated[int, Field(description="Number of attempts so far.")]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    error: JobError | None
    links: Links

    @classmethod
    def of(cls, job: Job, position: int | None, fleet: Fleet | None = None) -> "JobView":
        """Builds the view. fleet: the live workers; None if unknown."""
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.state,
            name=job.name,
            priority=job.priority,
            params=job.params,
            input=job.input,
            guide=job.guide,
            mask=job.mask,
            progress=job.progress,
            queue_position=position,
            waiting_for=fleet.waits_for(job.params.model) if fleet and job.state is JobState.QUEUED else None,
            attempt=job.attempt,
            created_at=utc(job.created_at),
            started_at=utc_or_none(job.started_at),
            finished_at=utc_or_none(job.finished_at),
            deadline_at=utc_or_none(job.deadline_at),
            error=job.error,
            links=_links(job),
        )


class JobPage(View):
    """One page of a list, newest first."""

    jobs: tuple[JobView, ...]
    next_cursor: Annotated[
        str | None, Field(description="Pass it as `cursor` for the next page; null on the last one.")
    ]


class GradientView(View):
    octave: Annotated[int, Field(description="The octave; 0 is the smallest.")]
    url: str


class GradientList(View):
    gradients: tuple[GradientView, ...]


def _links(job: Job) -> Links:
    base = f"/v1/jobs/{job.id}"
    cancelable = job.state in {JobState.QUEUED, JobState.RUNNING, JobState.CANCELING}
    claimed = job.claim is not None and job.state is not JobState.EXPIRED
    return Links(
        self=base,
        events=f"{base}/events",
        input=f"{base}/input" if job.state is not JobState.EXPIRED else None,
        guide=f"{base}/guide" if job.guide and job.state is not JobState.EXPIRED else None,
        mask=f"{base}/mask" if job.mask and job.state is not JobState.EXPIRED else None,
        data=f"{base}/data" if job.kind == "feature_maps" and job.state is JobState.SUCCEEDED else None,
        gradients=f"{base}/gradients" if isinstance(job.params, DreamParams) and job.params.keep_gradients else None,
        result=f"{base}/result" if job.state is JobState.SUCCEEDED else None,
        preview=f"{base}/preview" if claimed else None,
        report=f"{base}/report" if job.state is JobState.SUCCEEDED else None,
        cancel=f"{base}/cancel" if cancelable else None,
        retry=f"{base}/retry" if job.state is JobState.FAILED else None,
    )
