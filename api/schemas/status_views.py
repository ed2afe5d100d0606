"""How the service is doing."""

from typing import Annotated

from pydantic import Field

from api.schemas.base import View


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
