"""The body of a webhook, as Standard Webhooks has it: type, timestamp, data."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.jobs.job import Job, JobError, JobState, Kind, WebhookEvent
from shared.jobs.links import Links, links

MESSAGE_TYPES: dict[WebhookEvent, Literal["job.started", "job.completed"]] = {
    "started": "job.started",
    "completed": "job.completed",
}


class WebhookJob(BaseModel):
    """The job that a webhook is about: the fields of `GET /v1/jobs/{id}` that tell what happened."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    kind: Kind
    state: JobState
    name: Annotated[str | None, Field(description="The job's title.")] = None
    retry_count: Annotated[int, Field(description="Number of retries before this event.")] = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: JobError | None = None
    links: Annotated[Links, Field(description="Absolute addresses.")]


class WebhookMessage(BaseModel):
    """A webhook's body. The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` sign it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["job.started", "job.completed"]
    timestamp: Annotated[datetime, Field(description="When the event happened, in ISO 8601.")]
    data: WebhookJob

    @classmethod
    def of(cls, event: WebhookEvent, job: Job, *, api_url: str) -> "WebhookMessage":
        """Builds the message that the job has started or ended.

        api_url: the API's address as the client reaches it.
        """
        happened_at = job.started_at if event == "started" else job.finished_at
        return cls(
            type=MESSAGE_TYPES[event],
            timestamp=_utc(job.created_at if happened_at is None else happened_at),
            data=WebhookJob(
                id=job.id,
                kind=job.kind,
                state=job.state,
                name=job.name,
                retry_count=job.retry_count,
                created_at=_utc(job.created_at),
                started_at=None if job.started_at is None else _utc(job.started_at),
                finished_at=None if job.finished_at is None else _utc(job.finished_at),
                error=job.error,
                links=links(job, api_url=api_url),
            ),
        )


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
