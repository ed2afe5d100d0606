"""Reads, cancels, retries and deletes jobs for any caller. Independent of HTTP."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from api.jobs import downloads
from api.jobs.image_intake import is_ulid
from api.schemas.status_views import Readiness
from shared.clock import Clock
from shared.errors import DreamError, JobNotFound, NotReady, ResultExpired, StoreUnavailable, WrongState
from shared.interfaces import JobStore, Notifier, ObjectStorage
from shared.jobs.fleet import Fleet
from shared.jobs.job import Job, JobState, Kind
from shared.jobs.job_events import JobQueries, PollResult
from shared.jobs.lifecycle import RETRYABLE, JobLifecycle
from shared.params import DreamParams
from shared.rate_limit import RateLimit
from shared.s3 import object_keys

FLEET_FRESH_S = 2.0
FETCH_REQUEST_S = 3600.0  # a worker that starts within this time takes the request up too
RESULT_URL_S = 300  # long enough to start a download, short enough that a URL in a log file is useless


@dataclass(frozen=True)
class NewDeadline:
    """A deadline that replaces a job's own."""

    seconds: float | None  # from now; None for no deadline


@dataclass(frozen=True, kw_only=True)
class JobService:
    """Reads, cancels, retries and deletes jobs. Every call gives access to one owner's jobs only."""

    store: JobStore
    storage: ObjectStorage
    notifier: Notifier
    job_queries: JobQueries
    clock: Clock
    fleets: dict[str, tuple[float, Fleet]] = field(default_factory=dict, repr=False)
    lifecycle: JobLifecycle = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lifecycle", JobLifecycle(self.storage, self.store, self.notifier))

    def get(self, owner: str, job_id: str) -> Job:
        """Returns the job from Redis, or restores it from S3 if Redis does not have it. Raises JobNotFound."""
        job = self.store.get(job_id) or self._restore(job_id)
        if job is None or job.owner != owner:
            raise JobNotFound(f"There is no job '{job_id[:40]}'.")
        return job

    def poll(
        self,
        owner: str,
        job_id: str,
        *,
        cursor: tuple[int, int | None] | None = None,
        rate_limit: RateLimit | None = None,
    ) -> PollResult:
        """Returns the job and its queue position, or no job when nothing has changed since the cursor.

        Raises JobNotFound or TooManyRequests.
        """
        seen = self.job_queries.poll(job_id, owner, cursor=cursor, rate_limit=rate_limit)
        if seen.foreign:
            raise JobNotFound(f"There is no job '{job_id[:40]}'.")
        if seen.known:
            return seen
        job = self.get(owner, job_id)
        return PollResult(job=job, position=self.position(job), usage=seen.usage)

    def position(self, job: Job) -> int | None:
        """Returns the job's queue position; None while Redis is unavailable."""
        try:
            return self.job_queries.positions([job]).get(job.id)
        except StoreUnavailable:
            return None

    def positions(self, jobs: Sequence[Job]) -> dict[str, int]:
        return self.job_queries.positions(jobs)

    def list_jobs(
        self,
        owner: str,
        *,
        states: frozenset[JobState] | None,
        kind: Kind | None,
        before: str | None,
        limit: int,
    ) -> Sequence[Job]:
        return self.store.list_jobs(owner, states=states, kind=kind, before=before, limit=limit)

    def cancel(self, owner: str, job_id: str) -> Job:
        """Cancels the job: a queued one at once, a running one after its current tile.

        Raises WrongState for a job that ended in another state.
        """
        job = self.get(owner, job_id)
        if job.state is JobState.CANCELED:
            return job
        if job.state.is_terminal:
            raise WrongState(f"The job has already ended as {job.state}; there is nothing to cancel.")
        return self.lifecycle.cancel(job, now=self.clock.now())

    def retry(self, owner: str, job_id: str, *, deadline: NewDeadline | None = None) -> Job:
        """Queues a failed or canceled job again, to resume from its last checkpoint; keeps its deadline if None.

        Raises WrongState or ResultExpired.
        """
        job, now = self.get(owner, job_id), self.clock.now()
        if job.state not in RETRYABLE:
            raise WrongState(f"Only a failed or canceled job can be retried; this one is {job.state}.")
        if deadline is not None:
            job = replace(job, deadline_at=None if deadline.seconds is None else now + deadline.seconds)
        if job.deadline_at is not None and job.deadline_at <= now:
            raise WrongState("The job's deadline has passed; send a new one as `deadline_s`, or null for none.")
        return self.lifecycle.retry(job, now=now)

    def rename(self, owner: str, job_id: str, name: str | None) -> Job:
        return self.lifecycle.rename(self.get(owner, job_id), name)

    def delete(self, owner: str, job_id: str) -> None:
        """Removes the job and all its objects; a worker that runs it stops at its next lease renewal."""
        self.get(owner, job_id)
        self.lifecycle.delete(job_id)

    def fleet(self) -> Fleet | None:
        """Returns what the live workers can run, at most two seconds old; None while Redis is unavailable."""
        now = self.clock.monotonic()
        known = self.fleets.get("live")  # cached, because workers change within minutes and polls are frequent
        if known and now - known[0] < FLEET_FRESH_S:
            return known[1]
        try:
            fleet = Fleet.of(self.store.workers())
        except StoreUnavailable:
            return None
        self.fleets["live"] = (now, fleet)
        return fleet

    def fleet_tag(self) -> str:
        """Returns a tag that changes with what queued jobs wait for."""
        fleet = self.fleet()
        return "" if fleet is None else fleet.tag()

    def request_fetch(self, model: str) -> Fleet:
        """Asks the workers to fetch the model's weights, unless one serves it already. Returns the fleet.

        Raises WrongState when no live worker can fetch them, StoreUnavailable.
        """
        fleet = Fleet.of(self.store.workers())
        availability = fleet.availability(model)
        if availability == "unavailable":
            raise WrongState(
                f"No running worker can fetch the weights of '{model}': none is running, they may not serve it "
                "(DREAM_MODELS), or no address of the weights is known."
            )
        if availability == "fetchable":
            self.store.request_fetch(model, ttl_s=FETCH_REQUEST_S)
        return fleet

    def result_url(self, owner: str, job_id: str) -> str:
        """Returns a short-lived URL of the result image. Raises NotReady, WrongState or ResultExpired."""
        job = self.get(owner, job_id)
        asked = object_keys.result(job.params.format if isinstance(job.params, DreamParams) else "png")
        for name in dict.fromkeys(
            (asked, object_keys.result("png"))
        ):  # a PNG where the format that was asked for failed
            key = self._settled_output(job, name)
            if self.storage.size(key) is not None:
                return self._signed(key, downloads.result_name(job, name.removeprefix("result")))
        raise ResultExpired

    def data_url(self, owner: str, job_id: str) -> str:
        """Returns a short-lived URL of the numbers behind feature maps.

        Raises NotReady, WrongState or ResultExpired.
        """
        job = self.get(owner, job_id)
        if job.kind != "feature_maps":
            raise WrongState("Only feature maps have numbers; this job is a dream.")
        return self._address(self._settled_output(job, "maps.npz"), downloads.output_name(job, "maps", ".npz"))

    def input_url(self, owner: str, job_id: str, part: Literal["image", "guide", "mask"] = "image") -> str:
        """Returns a short-lived URL of an image submitted with the job.

        Raises WrongState when the job was submitted without it, ResultExpired once retention has removed it.
        """
        job = self.get(owner, job_id)
        sent = {"image": job.input, "guide": job.guide, "mask": job.mask}[part]
        if sent is None:
            raise WrongState(f"The job was submitted without a {part}.")
        key = object_keys.PICTURES[part](job_id)
        name = "photo" if part == "image" else part
        return self._address(key, downloads.output_name(job, name, f".{sent.format}"))

    def gradients(self, owner: str, job_id: str) -> Sequence[int]:
        """Returns the octaves whose gradient is stored so far."""
        self.get(owner, job_id)
        return [object_keys.gradient_octave(key) for key in self.storage.keys(object_keys.gradients(job_id))]

    def gradient_url(self, owner: str, job_id: str, octave: int) -> str:
        """Returns a short-lived URL of the image of an octave's gradient.

        Raises NotReady when it is not stored yet, and always for a job without `keep_gradients`.
        """
        job = self.get(owner, job_id)
        key = object_keys.gradient(job_id, octave)
        if self.storage.size(key) is None:
            raise NotReady("There is no gradient of that octave; jobs with `keep_gradients` store them while they run.")
        return self._address(key, downloads.output_name(job, f"gradient-{octave}", ".png"))

    def _address(self, key: str, filename: str) -> str:
        if self.storage.size(key) is None:
            raise ResultExpired
        return self._signed(key, filename)

    def _signed(self, key: str, filename: str) -> str:
        return self.storage.presigned_get(key, expires_s=RESULT_URL_S, filename=filename)

    def report(self, owner: str, job_id: str) -> bytes:
        """Returns the report as JSON. Raises NotReady, WrongState or ResultExpired."""
        found = self.storage.get(self._settled_output(self.get(owner, job_id), "report.json"))
        if found is None:
            raise ResultExpired
        return found

    def preview(self, owner: str, job_id: str, name: str = "preview") -> bytes:
        """Returns the latest preview, or that of the photograph: a small JPEG. Raises NotReady or ResultExpired."""
        job = self.get(owner, job_id)
        if job.state is JobState.EXPIRED:
            raise ResultExpired
        found = self.storage.get(object_keys.output(job_id, job.claim, f"{name}.jpg")) if job.claim else None
        if found is None:
            raise NotReady(f"The job has no {name} to show yet.")
        return found

    def readiness(self) -> Readiness:
        """Reports whether a job submitted now would run."""
        redis, storage, workers = "ok", "ok", 0
        try:
            workers = len(self.store.workers())
            self.store.check_writes()
        except DreamError as exc:
            redis = str(exc)
        try:
            self.storage.size("readiness")
        except DreamError as exc:
            storage = str(exc)
        return Readiness(ready=redis == storage == "ok" and workers > 0, redis=redis, storage=storage, workers=workers)

    def _settled_output(self, job: Job, name: str) -> str:
        if job.state is JobState.EXPIRED:
            raise ResultExpired
        if not job.state.is_terminal:
            raise NotReady(f"The job is {job.state}; it has no result yet.")
        if job.state is not JobState.SUCCEEDED or job.claim is None:
            raise WrongState(f"The job ended as {job.state}; it has no result.")
        return object_keys.output(job.id, job.claim, name)

    def _restore(self, job_id: str) -> Job | None:
        if not is_ulid(job_id):
            return None
        job = self.lifecycle.restore(job_id, now=self.clock.now())
        if job is not None and job.state is JobState.QUEUED:
            with contextlib.suppress(StoreUnavailable):  # the caretaker sends the wake-up
                self.notifier.notify_workers()
        return job
