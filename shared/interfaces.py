"""What a job needs of the outside: live state, durable objects, wake-ups. Tests have in-memory implementations."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from shared.jobs import Job, JobProgress, JobState, Outcome
from shared.queue_stats import QueueStats


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """A live worker, as it last described itself."""

    name: str
    models: tuple[str, ...]
    device: str
    job_id: str | None  # what it runs now
    seen_at: float  # Unix time, seconds, by Redis's clock


class JobStore(Protocol):
    """Live state. Every call raises StoreUnavailable (retryable) when Redis is away. Unix times in seconds."""

    def admit(self, owner: str, job_id: str, *, limit: int, ttl_s: float) -> bool:
        """Reserves a place in the owner's queue for a submission; False when `limit` jobs wait or are being submitted.

        The place is given up when the job is created, by `withdraw`, or after `ttl_s`. Repeatable.
        """

    def withdraw(self, owner: str, job_id: str) -> None:
        """Gives up the place of a submission that was refused."""

    def create(self, job: Job) -> bool:
        """Writes the job as given if there is none of that id; False if there is. A queued one waits from then on."""

    def get(self, job_id: str) -> Job | None:
        """The job, or None when Redis does not know it (it may still be in S3)."""

    def get_many(self, job_ids: Sequence[str]) -> Mapping[str, Job]:
        """Those of these jobs that Redis knows, in one round trip."""

    def list_jobs(
        self,
        owner: str,
        *,
        states: frozenset[JobState] | None = None,
        kind: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[Job]:
        """The owner's jobs, newest first, older than the job id `before`."""

    def cancel(self, job_id: str, *, retry_count: int) -> Job | None:
        """running -> canceling for that retry; all else stays: only an outcome ends a job. The job as it is now."""

    def retry(self, job_id: str, *, retry_count: int) -> Job | None:
        """failed -> queued as that retry; other states, or a later retry, stay. The job as it is now."""

    def forget(self, job_id: str) -> None:
        """Removes the job and everything that points to it."""

    def claim(self, worker: str, models: Sequence[str], *, lease_s: float) -> Job | None:
        """The next waiting job for these models, now running under a fresh claim; None when nothing waits.

        Until the first `renew` the claim is not acknowledged: its lapse is a lost answer, not the death of a worker.
        """

    def rebuild_turns(self) -> None:
        """Completes what processes of an older version leave out of the order in which jobs are claimed. Repeatable."""

    def renew(self, job: Job, *, lease_s: float, progress: JobProgress | None = None) -> JobState:
        """Prolongs and acknowledges the claimed job's lease and publishes progress. running or canceling.

        Raises ClaimLost, or JobNotFound when Redis does not know the job: it was wiped, or the job deleted.
        """

    def preview_stored(self, job: Job) -> None:
        """Tells who watches that the attempt has stored a new preview. Nothing happens when the claim is lost."""

    def checkpoint_stored(self, job: Job) -> None:
        """The attempt got further: deaths start from 0 again. Raises ClaimLost."""

    def fix_tile_size(self, job: Job, tile_size: int) -> int:
        """Stores the tile size with the job unless it has one. The one it has. Raises ClaimLost."""

    def release(self, job: Job, *, died: bool = False) -> Job:
        """running -> queued, at its old place (a drain). canceling stays. Raises ClaimLost.

        died: counts like a death, since the job may be what its host can't bear.
        """

    def finish(self, job_id: str, outcome: Outcome) -> Job | None:
        """Any state of the outcome's retry or an earlier one -> what the outcome says, unless that retry has ended.

        The outcome is the truth, so no claim is compared.
        """

    def expire(self, job_id: str, *, retry_count: int) -> Job | None:
        """succeeded, failed or canceled -> expired, if that retry is the last."""

    def expired_leases(self) -> Sequence[Job]:
        """Claimed jobs whose lease has run out."""

    def expire_lease(self, job: Job, *, max_deaths: int) -> Job | None:
        """A lapsed running job -> queued, with one more death if its claim was acknowledged; as it was if that was one
        too many, or if it is canceling: the caller ends it. None if the lease was renewed or the claim changed."""

    def overdue(self) -> Sequence[Job]:
        """Waiting jobs past their deadline; a running one is ended by its worker."""

    def waiting(self) -> Mapping[str, int]:
        """Waiting jobs by model."""

    def register_worker(self, worker: WorkerInfo, *, ttl_s: float) -> None:
        """A worker says that it is alive."""

    def workers(self) -> Sequence[WorkerInfo]:
        """The live workers."""

    def queue_stats(self) -> QueueStats:
        """How many jobs and workers there are. Its cost does not grow with them."""

    def generation(self) -> str | None:
        """Names this data set. None when Redis was wiped and has to be rebuilt from S3; another one than before when
        it was restarted, and so may have forgotten its last second."""

    def begin_rebuild(self) -> str:
        """A token that `end_rebuild` takes: both must see the same data set."""

    def end_rebuild(self, token: str) -> str | None:
        """Declares Redis complete. Its generation; None when it was wiped or restarted since `begin_rebuild`."""

    def probe(self) -> None:
        """Sends and receives as much as a claim's answer may hold. Raises StoreUnavailable."""

    def lead(self, name: str, *, ttl_s: float) -> bool:
        """True if `name` is, or now becomes, the one leading caretaker."""

    def check(self) -> None:
        """Raises UnfitService when Redis is too old or evicts."""


@dataclass(frozen=True, kw_only=True)
class PresignedForm:
    """A form that lets a browser upload straight to S3."""

    url: str
    fields: Mapping[str, str]


class ObjectStorage(Protocol):
    """Objects in one bucket. Every call raises StorageUnavailable (retryable), a write also StorageFull (retryable)."""

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> bool:
        """Writes the object whole or not at all. False if it must be absent and isn't."""

    def get(self, key: str) -> bytes | None:
        """The object's bytes, None when there is none."""

    def download(self, key: str, into: BinaryIO) -> bool:
        """Writes the object into a file in pieces, without holding it. False when there is none."""

    def size(self, key: str) -> int | None:
        """The object's size in bytes, None when there is none."""

    def copy(self, source: str, target: str) -> bool:
        """Copies within the bucket, on the server. False when there is no source."""

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys with that prefix, in order."""

    def keys_before(self, prefix: str, at: float) -> Iterator[str]:
        """Those of them that were last written before that Unix time, by the store's own clock."""

    def folders(self, prefix: str) -> Iterator[str]:
        """The next path segment of all keys with that prefix, each once, in order."""

    def delete(self, keys: Iterable[str]) -> None:
        """Removes the objects; those that are not there don't matter."""

    def presigned_get(self, key: str, *, expires_s: int, filename: str | None = None) -> str:
        """A short-lived public address of the object; with a file name it is offered as a download."""

    def presigned_post(self, key: str, *, expires_s: int, max_bytes: int) -> PresignedForm:
        """A form to upload one object of at most that size."""

    def check(self) -> None:
        """Raises UnfitService when the store does not honor conditional writes."""


class Notifier(Protocol):
    """Sends wake-ups to the workers. Losing or doubling one changes nothing."""

    def notify_workers(self, times: int = 1) -> None:
        """Raises StoreUnavailable when the broker is away."""

    def pending_wake_ups(self) -> int:
        """Counts the wake-ups that no worker has received yet."""
