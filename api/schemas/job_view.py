"""Responses about jobs."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.base import View, utc, utc_or_none
from shared.jobs.fleet import Fleet
from shared.jobs.job import InputImage, Job, JobError, JobProgress, JobState, Kind, Priority
from shared.jobs.links import Links, links
from shared.params import DreamParams, FeatureMapsParams


class JobView(View):
    """A job."""

    id: Annotated[str, Field(description="A ULID; sorts by time of submission.")]
    kind: Kind
    state: JobState
    name: Annotated[str | None, Field(description="The title; at first that of the photograph's file.")] = None
    preset: Annotated[str | None, Field(description="The preset that the parameters started from.")] = None
    changed: Annotated[
        tuple[str, ...], Field(description="Names of the parameters that differ from the preset's.")
    ] = ()
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
            preset=job.preset,
            changed=job.changed,
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
            links=links(job),
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
