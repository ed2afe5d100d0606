"""Lists the addresses related to a job: relative in responses, absolute in webhooks."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.images.header import HARD_TO_SHOW
from shared.jobs.job import Job, JobState
from shared.params import DreamParams


class Links(BaseModel):
    """Addresses related to a job; null for those that it does not have."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    self: str
    events: str | None = None
    input: str | None = None
    photograph: Annotated[
        str | None, Field(description="The photograph as a JPEG, where some browsers don't show its format.")
    ] = None
    guide: str | None = None
    mask: str | None = None
    data: Annotated[str | None, Field(description="Data of feature maps, as NPZ.")] = None
    gradients: str | None = None
    result: str | None = None
    preview: str | None = None
    report: str | None = None
    cancel: str | None = None
    retry: str | None = None


def links(job: Job, *, api_url: str = "") -> Links:
    """Returns the job's links. api_url: begins each of them; without it they are relative."""
    base = f"{api_url}/v1/jobs/{job.id}"
    cancelable = job.state in {JobState.QUEUED, JobState.RUNNING, JobState.CANCELING}
    claimed = job.claim is not None and job.state is not JobState.EXPIRED
    return Links(
        self=base,
        events=f"{base}/events",
        input=f"{base}/input" if job.state is not JobState.EXPIRED else None,
        photograph=f"{base}/photograph" if claimed and job.input.format in HARD_TO_SHOW else None,
        guide=f"{base}/guide" if job.guide and job.state is not JobState.EXPIRED else None,
        mask=f"{base}/mask" if job.mask and job.state is not JobState.EXPIRED else None,
        data=f"{base}/data" if job.kind == "feature_maps" and job.state is JobState.SUCCEEDED else None,
        gradients=f"{base}/gradients" if isinstance(job.params, DreamParams) and job.params.keep_gradients else None,
        result=f"{base}/result" if job.state is JobState.SUCCEEDED else None,
        preview=f"{base}/preview" if claimed else None,
        report=f"{base}/report" if job.state is JobState.SUCCEEDED else None,
        cancel=f"{base}/cancel" if cancelable else None,
        retry=f"{base}/retry" if job.state in {JobState.FAILED, JobState.CANCELED} else None,
    )
