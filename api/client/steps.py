"""Sequences of several requests, as generators of steps: shared by DreamClient and AsyncDreamClient.

A client carries out each step, with or without `await`, and sends its result into the generator.
"""

import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

import httpx

from api.client import calls
from api.client.calls import Call, FilePath
from api.client.responses import JobFailed, Outage, ServerUnavailable
from api.client.sse_reader import Event
from api.client.uploads import BY_PARTS_BYTES, OnUpload, SendPart, by_parts
from api.schemas.job_view import JobView
from api.schemas.network_views import PresetList
from shared.clock import Clock
from shared.errors import InvalidField
from shared.jobs.file_names import free, shortened
from shared.jobs.job import JobState

POLL_S = 0.5

Done = TypeVar("Done")


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Save:
    """Appends the rest of a job's result to a file, repeatedly until it is complete; gives the server's name for it."""

    job_id: str
    part: Path

    @property
    def path(self) -> str:
        return f"/v1/jobs/{self.job_id}/result"

    def headers(self) -> dict[str, str]:
        have = self.part.stat().st_size if self.part.exists() else 0
        return {"Range": f"bytes={have}-"} if have else {}

    def is_complete(self, response: httpx.Response) -> bool:
        return response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE

    def opened(self, response: httpx.Response) -> BinaryIO:
        """Opens the file for what the response sends: the rest, or everything."""
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        return self.part.open("ab" if resumed else "wb")


Steps: TypeAlias = Generator[Call[Any] | Pause | Save | SendPart, Any, Done]


def submit(
    files: Mapping[str, Path],
    params: Mapping[str, Any] | None,
    *,
    on_upload: OnUpload | None,
    options: Mapping[str, str | float],
) -> Steps[JobView]:
    """Submits a job: with a form, or after uploading the images if one of them is large.

    files: the images, by field.
    """
    uploads = None
    if any(file.stat().st_size > BY_PARTS_BYTES for file in files.values()):
        uploads = yield from by_parts(files, on_upload)
    call = (
        calls.submit(files, params, options)
        if uploads is None
        else calls.submit_uploaded(uploads, files["image"].name, params, options)
    )
    job: JobView = yield call
    return job


def wait(job_id: str, on_change: Callable[[JobView], None] | None, clock: Clock) -> Steps[JobView]:
    """Polls until the job has ended."""
    etag, outage = "", Outage(clock)
    while True:
        try:
            job, etag = yield calls.poll(job_id, etag)
        except ServerUnavailable as exc:
            outage.tolerate(exc)
        else:
            outage.end()
            if job and on_change:
                on_change(job)
            if job and job.state.is_terminal:
                ended: JobView = job
                return ended
        yield Pause(POLL_S)


def download(job_id: str, to: FilePath) -> Steps[Path]:
    """Saves the result under another name until it is complete. Into a folder: as the server names it."""
    target = Path(to)
    into_folder = target.is_dir()
    part = target / f".{job_id}.part" if into_folder else target.with_name(shortened(target.name, f".{job_id}.part"))
    name: str = yield Save(job_id, part)
    if into_folder:
        target = free(target / name)
    part.replace(target)
    return target


def preset_params(name: str) -> Steps[dict[str, Any]]:
    """Finds the preset's parameters. Raises InvalidField."""
    listed: PresetList = yield calls.presets()
    params = {preset.name: preset.params for preset in listed.presets}
    if name not in params:
        raise InvalidField(f"Unknown look '{name}'; choose one of {', '.join(params)}.", path="look")
    return params[name]


def dream(
    files: Mapping[str, Path],
    params: Mapping[str, Any] | None,
    *,
    look: str | None,
    on_change: Callable[[JobView], None] | None,
    on_upload: OnUpload | None,
    options: Mapping[str, str | float],
    clock: Clock,
) -> Steps[bytes]:
    """Submits a job, waits for it and reads its result. Raises JobFailed."""
    if look:
        yield from preset_params(look)  # refuses an unknown look with the list of all
        options = {**options, "preset": look}
    job = yield from submit(files, params, on_upload=on_upload, options=options)
    ended = yield from wait(job.id, on_change, clock)
    if ended.state is not JobState.SUCCEEDED:
        raise JobFailed(ended)
    with tempfile.TemporaryDirectory(prefix="dream-") as folder:
        result = Path(folder) / "result"
        yield from download(job.id, result)
        return result.read_bytes()


class EventPosition:
    """Where a job's event stream resumes after an interruption, and whether to open it again."""

    def __init__(self, job_id: str, clock: Clock) -> None:
        self.path = f"/v1/jobs/{job_id}/events"
        self.ended = False
        self._last_id = ""
        self._outage = Outage(clock)

    @property
    def headers(self) -> dict[str, str]:
        return {"Last-Event-ID": self._last_id} if self._last_id else {}

    def received(self, event: Event) -> None:
        self._outage.end()
        self._last_id = event.id or self._last_id
        self.ended = event.is_last

    def closed(self) -> None:
        """Handles that the server closed the stream: for good, if it has never sent an event."""
        self.ended = self.ended or not self._last_id

    def interrupted(self, error: ServerUnavailable) -> None:
        """Returns while the outage is short; raises the error once it has lasted for a minute."""
        self._outage.tolerate(error)
