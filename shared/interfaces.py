"""Interfaces of the external services that jobs need: live state, durable objects, wake-ups.

`tests/fakes/` implements them in memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from shared.jobs.job import Job, JobProgress, JobState, Outcome
from shared.jobs.queue_stats import QueueStats

UNLIMITED = 2**31  # more jobs than can run


@dataclass(frozen=True, kw_only=True)
class WeightsFetch:
    """Describes how far a worker is with fetching a network's weights, or why it failed."""

    model: str
    fetched_bytes: int = 0
    total_bytes: int | None = None  # where the server of the weights says it
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """Describes a live worker, as of its last registration."""

    name: str
    models: tuple[str, ...]
    device: str
    job_id: str | None  # the job it is running
    seen_at: float  # Unix time, seconds, by Redis's clock
    fetchable: tuple[str, ...] = ()  # models that it could serve if it fetched their weights
    fetches_on_demand: bool = False  # it fetches them for a waiting job; otherwise only on request
    fetch: WeightsFetch | None = None  # the one in progress, or the last one if that failed
    numerics: str = ""  # workers with the same one compute the same bytes, and may help each other
    host: str = ""  # workers with the same one can map each other's memory


class JobStore(Protocol):
    """Holds live state. Every call raises StoreUnavailable (retryable) when Redis is unavailable.

    A call that writes raises its subclass StoreRefusing when Redis answers but refuses writes: it is full, can't save,
    or has become a replica.

    Times are Unix times in seconds; durations are in seconds.
    """

    def admit(self, owner: str, job_id: str, *, limit: int, ttl_s: float) -> bool:
        """Reserves a place in the owner's queue for a submission; False when `limit` jobs wait or are being submitted.

        The place is released when the job is created, by `withdraw`, or after `ttl_s`. Idempotent.
        """

    def withdraw(self, owner: str, job_id: str) -> None:
        """Releases the place of a submission that was refused."""

    def create(self, job: Job) -> bool:
        """Writes the job unless its id exists or was forgotten; False then. A queued job waits from then on."""

    def get(self, job_id: str) -> Job | None:
        """Returns the job, or None when Redis does not have it (S3 still may)."""

    def get_many(self, job_ids: Sequence[str]) -> Mapping[str, Job]:
        """Returns those of these jobs that Redis has, in one round trip."""

    def list_jobs(
        self,
        owner: str,
        *,
        states: frozenset[JobState] | None = None,
        kind: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[Job]:
        """Lists the owner's jobs, newest first, older than the job id `before`."""

    def cancel(self, job_id: str, *, retry_count: int) -> Job | None:
        """Changes running to canceling at that `retry_count`; nothing else, since only an outcome ends a job.

        Returns the job after the call.
        """

    def retry(self, job_id: str, *, retry_count: int, deadline_at: float | None = None) -> Job | None:
        """Changes failed or canceled to queued with that `retry_count` and deadline; other states and retries stay.

        Returns the job after the call.
        """

    def rename(self, job_id: str, name: str | None) -> Job | None:
        """Returns the job under that name, None when Redis does not know it."""

    def forget(self, job_id: str) -> None:
        """Removes the job and everything that refers to it. For a day no late `create` brings it back."""

    def claim(self, worker: str, models: Sequence[str], *, lease_s: float, max_running: int = UNLIMITED) -> Job | None:
        """Claims the next waiting job for these models; None when none waits. The job is running under a new claim.

        max_running: an owner with so many running jobs is passed over while another one's jobs wait for these models.
        Until the first `renew` the claim is not acknowledged: its expiry means a lost response, not a dead worker.
        """

    def rebuild_turns(self) -> None:
        """Completes the turns by model, which processes of an older version do not maintain. Idempotent."""

    def renew(self, job: Job, *, lease_s: float, progress: JobProgress | None = None) -> JobState:
        """Renews and acknowledges the claimed job's lease and publishes progress. Returns running or canceling.

        Raises ClaimLost, or JobNotFound when Redis does not have the job: Redis was wiped or the job was deleted.
        """

    def preview_stored(self, job: Job) -> None:
        """Notifies subscribers that the attempt has stored a new preview. Does nothing when the claim is lost."""

    def checkpoint_stored(self, job: Job) -> None:
        """Resets the deaths to 0, because the attempt has made progress. Raises ClaimLost."""

    def fix_tile_size(self, job: Job, tile_size: int) -> int:
        """Stores the tile size, in pixels, unless the job has one. Returns the job's. Raises ClaimLost."""

    def release(self, job: Job, *, died: bool = False) -> Job:
        """Changes running to queued, at the job's old place (a drain). canceling stays. Raises ClaimLost.

        died: counts as a death, since the job may be more than its host can handle.
        """

    def finish(self, job_id: str, outcome: Outcome) -> Job | None:
        """Applies the outcome to a job of its `retry_count` or a lower one, unless that retry has ended.

        Does not compare claims, because the outcome in S3 is authoritative.
        """

    def expire(self, job_id: str, *, retry_count: int) -> Job | None:
        """Changes succeeded, failed or canceled to expired, if that `retry_count` is the job's latest."""

    def expired_leases(self) -> Sequence[Job]:
        """Returns the claimed jobs whose lease has expired."""

    def expire_lease(self, job: Job, *, max_deaths: int) -> Job | None:
        """Requeues a running job whose lease has expired, with one more death if its claim was acknowledged.

        Leaves the state as it is if the deaths reach `max_deaths` or the job is canceling: the caller ends it. Returns
        the job after the call; None if the lease was renewed or the claim changed.
        """

    def overdue(self) -> Sequence[Job]:
        """Returns the waiting jobs past their deadline; a worker ends its own running job."""

    def waiting(self) -> Mapping[str, int]:
        """Counts the waiting jobs by model."""

    def register_worker(self, worker: WorkerInfo, *, ttl_s: float) -> None:
        """Registers a live worker for `ttl_s`."""

    def workers(self) -> Sequence[WorkerInfo]:
        """Returns the live workers."""

    def request_fetch(self, model: str, *, ttl_s: float) -> None:
        """Asks every worker that lacks the model's weights to fetch them; a request is valid for `ttl_s`."""

    def requested_fetches(self, models: Sequence[str]) -> Mapping[str, str]:
        """Returns, for those of the models whose weights are requested, the request's id: each call has a new one."""

    def queue_stats(self) -> QueueStats:
        """Counts jobs and workers, at a cost that does not grow with the number of jobs."""

    def generation(self) -> str | None:
        """Returns the id of this data set; None when Redis was wiped and has to be rebuilt from S3.

        Changes when Redis is restarted, since it may then have lost its last second.
        """

    def begin_rebuild(self) -> str:
        """Starts a rebuild. Returns a token for `end_rebuild`: both must see the same data set."""

    def end_rebuild(self, token: str) -> str | None:
        """Declares Redis complete. Returns its generation; None if it was wiped or restarted since `begin_rebuild`."""

    def probe(self) -> None:
        """Sends and receives as many bytes as the response to a claim may have. Raises StoreUnavailable."""

    def check_writes(self) -> None:
        """Writes a value that expires. Raises StoreRefusing when Redis answers but refuses writes."""

    def lead(self, name: str, *, ttl_s: float) -> bool:
        """Makes `name` the leading caretaker for `ttl_s`, unless another one leads. Returns True if `name` leads."""

    def check(self) -> None:
        """Checks Redis. Raises UnfitService when it is too old or evicts keys."""


@dataclass(frozen=True, kw_only=True)
class PresignedForm:
    """Holds a form with which a browser can upload directly to S3."""

    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """Describes a part of an upload that the store has received."""

    number: int  # from 1
    size_bytes: int
    etag: str


class ObjectStorage(Protocol):
    """Stores objects in one bucket.

    Every call raises StorageUnavailable (retryable), a write also StorageFull (retryable). Sizes are in bytes.
    """

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> bool:
        """Writes the object completely or not at all. Returns False if `if_absent` is set and the object exists."""

    def get(self, key: str) -> bytes | None:
        """Returns the object's bytes, or None when it does not exist."""

    def download(self, key: str, into: BinaryIO) -> bool:
        """Writes the object to a file piece by piece, without holding it in memory. False when it does not exist."""

    def read(self, key: str, at: int, size_bytes: int) -> bytes | None:
        """Returns that part of the object, fewer bytes at its end; None when it does not exist."""

    def size(self, key: str) -> int | None:
        """Returns the object's size in bytes, or None when it does not exist."""

    def copy(self, source: str, target: str) -> bool:
        """Copies within the bucket, on the server. False when the source does not exist."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yields all keys with that prefix, in order."""

    def keys_before(self, prefix: str, at: float) -> Iterator[str]:
        """Yields the keys with that prefix last written before `at`: Unix time, seconds, by the store's own clock."""

    def folders(self, prefix: str) -> Iterator[str]:
        """Yields the next path segment of all keys with that prefix, each once, in order."""

    def delete(self, keys: Iterable[str]) -> None:
        """Removes the objects; ignores missing ones."""

    def presigned_get(self, key: str, *, expires_s: int, filename: str | None = None) -> str:
        """Returns a public URL of the object, valid for `expires_s`; `filename` makes it a download."""

    def presigned_post(self, key: str, *, expires_s: int, max_bytes: int) -> PresignedForm:
        """Returns a form to upload one object of at most `max_bytes`, valid for `expires_s`."""

    def begin_parts(self, key: str) -> str:
        """Begins an upload by parts and returns the store's id for it. Raises UnfitService if the store has none."""

    def presigned_part(self, key: str, upload: str, number: int, *, size_bytes: int, expires_s: int) -> str:
        """Returns a public URL to PUT that part of exactly that size to, valid for `expires_s`. Numbers start at 1."""

    def parts(self, key: str, upload: str) -> list[StoredPart] | None:
        """Returns the parts received so far, in order; None when the upload was completed or aborted."""

    def complete_parts(self, key: str, upload: str, parts: Sequence[StoredPart]) -> bool:
        """Joins the parts to one object. False when the upload was completed or aborted."""

    def abort_parts(self, key: str, upload: str) -> None:
        """Removes the parts received so far; ignores an upload that was completed or aborted."""

    def unfinished(self, prefix: str, before: float) -> Iterator[tuple[str, str]]:
        """Yields keys and ids of uploads by parts begun before then: Unix time, seconds, by the store's own clock.

        Raises UnfitService if the store has none.
        """

    def check(self) -> None:
        """Checks the store. Raises UnfitService when it does not honor conditional writes."""


class Notifier(Protocol):
    """Sends wake-ups to the workers. A lost or repeated wake-up does no harm."""

    def notify_workers(self, times: int = 1) -> None:
        """Sends that many wake-ups. Raises StoreUnavailable when the broker is unavailable."""

    def pending_wake_ups(self) -> int:
        """Counts the wake-ups that no worker has received yet."""
