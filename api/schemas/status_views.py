"""Responses about the state of the service."""

from typing import Annotated

from pydantic import Field

from api.schemas.base import View


class WorkerView(View):
    """A live worker."""

    name: str
    device: str
    models: tuple[str, ...]
    busy: bool
    job_id: Annotated[str | None, Field(description="The job it is running, if that is yours.")]


class Throughput(View):
    pixels_per_second: Annotated[float | None, Field(description="Sum over all running jobs; null if none is running.")]


class Limits(View):
    max_pixels: int
    max_upload_bytes: Annotated[int, Field(description="Of a request, and of an image uploaded with a form.")]
    max_direct_upload_bytes: Annotated[int, Field(description="Of an image uploaded by parts.")]


class StatusView(View):
    """The state of the whole service."""

    workers: tuple[WorkerView, ...]
    queued: int
    running: int
    oldest_queued_s: Annotated[float, Field(description="Seconds since the oldest queued job was submitted.")]
    throughput: Throughput
    limits: Limits


class Alive(View):
    status: str = "ok"


class Readiness(View):
    """Whether a job submitted now would run."""

    ready: bool
    redis: Annotated[str, Field(description="`ok`, or an error message.")]
    storage: Annotated[str, Field(description="`ok`, or an error message.")]
    workers: Annotated[int, Field(description="Number of live workers.")]
