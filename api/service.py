"""What can be done with jobs, whoever asks. Knows no HTTP."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ulid import ULID

from api.schemas import JobOptions, Readiness
from api.sniff import sniff
from shared import layout, ledger
from shared.catalog import resolve
from shared.clock import Clock
from shared.errors import (
    BlobsFull,
    BlobsUnavailable,
    DreamError,
    JobNotFound,
    NotReady,
    ResultExpired,
    StoreUnavailable,
    WrongState,
)
from shared.jobs import Job, JobState, Kind, Manifest, Outcome
from shared.params import DreamParams
from shared.ports import Blobs, Doorbell, Store

logger = logging.getLogger(__name__)

RESULT_URL_S = 300  # long enough to begin a download, short enough to be worthless in a log file


@dataclass(frozen=True, kw_only=True)
class JobService:
    """Submit, look at, cancel, retry and delete jobs. Every call concerns one owner's jobs only."""

    store: Store
    blobs: Blobs
    doorbell: Doorbell
    clock: Clock
    max_pixels: int

    def submit(self, owner: str, options: JobOptions, params: DreamParams, image: BinaryIO) -> Job:
        """The accepted job. Once this returns it is owed an outcome, whatever happens to Redis.

        Raises InvalidField or one of the image errors before anything is stored.
        """
        resolved = resolve(params, path="params.")
        header = sniff(image, max_pixels=self.max_pixels)
        now = self.clock.now()
        manifest = Manifest(
            id=str(ULID.from_timestamp(now)),
            kind=options.kind,
            owner=owner,
            priority=options.priority,
            params=resolved,
            input=header,
            created_at=now,
            deadline_at=None if options.deadline_s is None else now + options.deadline_s,
        )
        with self._swept_on_failure(manifest.id):
            ledger.accept(self.blobs, manifest, image)
        job = Job.from_manifest(manifest)
        self._announce(job)
        return job

    def get(self, owner: str, job_id: str) -> Job:
        """The job, from Redis, or rebuilt from S3 where Redis does not know it. Raises JobNotFound."""
        job = self.store.get(job_id) or self._recall(job_id)
        if job is None or job.owner != owner:
            raise JobNotFound(f"There is no job '{job_id[:40]}'.")
        return job

    def position(self, job: Job) -> int | None:
        return self.store.position(job.id) if job.state is JobState.QUEUED else None

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
        """queued ends at once, running ends at its next tile batch. Raises WrongState for one that ended otherwise."""
        job = self.get(owner, job_id)
        if job.state is JobState.CANCELED:
            return job
        if job.state.is_terminal:
            raise WrongState(f"The job has already ended as {job.state}; there is nothing to cancel.")
        ledger.ask_to_cancel(self.blobs, job)
        return self._cancel(job)

    def retry(self, owner: str, job_id: str) -> Job:
        """A failed job again, from its last checkpoint. Raises WrongState."""
        job = self.get(owner, job_id)
        if job.state is not JobState.FAILED:
            raise WrongState(f"Only a failed job can be retried; this one is {job.state}.")
        if job.deadline_at is not None and job.deadline_at <= self.clock.now():
            raise WrongState("The job's deadline has passed; submit it again with a later one.")
        retried = self.store.retry(job_id, epoch=ledger.reopen(self.blobs, job)) or job
        self._ring()
        return retried

    def delete(self, owner: str, job_id: str) -> None:
        """Removes the job and all its objects; a worker that runs it stops at its next look."""
        self.get(owner, job_id)
        ledger.erase(self.blobs, job_id)
        self.store.forget(job_id)

    def result_url(self, owner: str, job_id: str) -> str:
        """A short-lived address of the picture. Raises NotReady, WrongState or ResultExpired."""
        key = self._settled_output(self.get(owner, job_id), "result.png")
        if self.blobs.size(key) is None:
            raise ResultExpired
        return self.blobs.presigned_get(key, expires_s=RESULT_URL_S, filename=f"dream-{job_id}.png")

    def report(self, owner: str, job_id: str) -> bytes:
        """JSON. Raises NotReady, WrongState or ResultExpired."""
        found = self.blobs.get(self._settled_output(self.get(owner, job_id), "report.json"))
        if found is None:
            raise ResultExpired
        return found

    def preview(self, owner: str, job_id: str) -> bytes:
        """The picture so far, a small JPEG. Raises NotReady or ResultExpired."""
        job = self.get(owner, job_id)
        if job.state is JobState.EXPIRED:
            raise ResultExpired
        found = self.blobs.get(layout.output(job_id, job.claim, "preview.jpg")) if job.claim else None
        if found is None:
            raise NotReady("The job has no preview yet.")
        return found

    def readiness(self) -> Readiness:
        """Whether a job submitted now would run."""
        redis, storage, workers = "ok", "ok", 0
        try:
            workers = len(self.store.workers())
        except DreamError as exc:
            redis = str(exc)
        try:
            self.blobs.size("readiness")
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
        return layout.output(job.id, job.claim, name)

    def _recall(self, job_id: str) -> Job | None:
        if not is_job_id(job_id):
            return None
        job = ledger.recall(self.blobs, job_id)
        if job is None:
            return None
        self.store.create(job)
        if job.state is JobState.QUEUED:
            if ledger.cancel_asked(self.blobs, job):
                return self._cancel(job)
            self._ring()
        return self.store.get(job_id) or job

    def _cancel(self, job: Job) -> Job:
        """Of a job whose cancel is durable. One that waits has ended by this, so its outcome is written here."""
        canceled = self.store.cancel(job.id) or job
        if canceled.state is JobState.CANCELED:
            outcome = Outcome(
                epoch=canceled.epoch,
                state=JobState.CANCELED,
                finished_at=canceled.finished_at or self.clock.now(),
                started_at=canceled.started_at,
                attempt=canceled.attempt,
            )
            ledger.settle(self.blobs, self.store, job.id, outcome)
        return canceled

    def _announce(self, job: Job) -> None:
        # The job is durable by now: a refusal here would make the client submit it twice. The caretaker finds it.
        try:
            self.store.create(job)
        except StoreUnavailable:
            logger.warning("job %s accepted while Redis is away; it will be rebuilt", job.id)
            return
        self._ring()

    def _ring(self) -> None:
        try:
            self.doorbell.ring()
        except StoreUnavailable:
            logger.warning("the doorbell could not be rung; the caretaker will")

    @contextlib.contextmanager
    def _swept_on_failure(self, job_id: str) -> Iterator[None]:
        try:
            yield
        except (BlobsUnavailable, BlobsFull):
            with contextlib.suppress(DreamError):  # away is away; what is left is not pending, and retention takes it
                self.blobs.delete([layout.pending(job_id), layout.manifest(job_id), layout.image(job_id)])
            raise


def is_job_id(text: str) -> bool:
    try:
        return str(ULID.from_str(text)) == text
    except ValueError:
        return False
