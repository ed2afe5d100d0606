"""Records requests, responses and writes during a run; `checks.py` compares them with the final state."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.jobs.job import Job, JobState, Outcome
from shared.s3 import object_keys
from shared.webhooks.delivery import MessageId
from tests.simulation.scheduler import Task

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass
class Sending:
    """Describes one logical submission, however often it was sent; its parameters' seed identifies it."""

    owner: str
    key: str | None
    webhook: bool
    times: int = 0
    answered: set[str] = field(default_factory=set)  # job ids


class Witness:
    """Records a run and collects violations in `broken`."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.broken: list[str] = []
        self.sendings: dict[int, Sending] = {}
        self.seed_of: dict[str, int] = {}  # by job id, of every manifest ever written
        self.requests: Counter[tuple[str, str]] = Counter()
        self.deleted: dict[str, float] = {}
        self.canceled: dict[tuple[str, int], float] = {}
        self.last_seen: dict[str, int] = {}  # retry_count that the job's client has seen
        self.retried: set[tuple[str, int]] = set()
        self.settling: dict[tuple[str, int], float] = {}  # start of settling it as anything but canceled
        self.outcomes: dict[str, bytes] = {}
        self.received_claims: Counter[tuple[str, int]] = Counter()
        self.delivered: dict[str, list[dict]] = defaultdict(list)
        self.finished_deliveries: set[str] = set()
        self.repeating: set[Task] = set()  # tasks that queue a webhook whose job is no longer pending
        world.s3.wrote, world.s3.removed = self._wrote, self._removed
        world.redis.changed, world.redis.claim_arrived = self._changed, self.claim_received

    # --- reported by the clients ---

    def sent(self, owner: str, seed: int, key: str | None, options) -> None:
        sending = self.sendings.setdefault(seed, Sending(owner, key, options.webhook_url is not None))
        sending.times += 1

    def accepted(self, job_id: str, seed: int) -> None:
        self.sendings[seed].answered.add(job_id)
        if len(self.sendings[seed].answered) > 1:
            self.broken.append(f"key doubled: responses to one submission named {self.sendings[seed].answered}")

    def refused(self, seed: int, error: Exception) -> None:
        pass

    def requested(self, what: str, job_id: str) -> None:
        self.requests[what, job_id] += 1

    def granted(self, what: str, job_id: str, job: Job | None) -> None:
        now = self.world.scheduler.now
        if what == "delete":
            self.deleted.setdefault(job_id, now)
        elif what == "cancel" and job is not None and job.state not in {JobState.SUCCEEDED, JobState.FAILED}:
            self.canceled.setdefault((job_id, job.retry_count), now)
        elif what == "retry" and job is not None:
            self.retried.add((job_id, job.retry_count))
            if job.retry_count <= self.last_seen.get(job_id, -1):
                self.broken.append(f"retry: the response for {job_id} was the job before the retry")

    def saw(self, job_id: str, job: Job | None, *, missing: bool) -> None:
        """Records the response to a poll."""
        if job is not None:
            self.last_seen[job_id] = job.retry_count
        if job is not None and job_id in self.deleted and self.world.redis.lost_at < self.deleted[job_id]:
            self.broken.append(f"deleted job returned: {job_id} is {job.state} after its delete was confirmed")
        if missing and ("delete", job_id) not in self.requests:
            self.broken.append(f"lost: {job_id} was accepted but is not found (404)")

    # --- reported by the product's own calls ---

    def settles(self, job_id: str, outcome: Outcome) -> None:
        if outcome.state is not JobState.CANCELED:
            self.settling.setdefault((job_id, outcome.retry_count), self.world.scheduler.now)

    def claim_received(self, job: Job) -> None:
        self.received_claims[job.id, job.retry_count] += 1

    @contextmanager
    def queues_completed(self, job_id: str, retry_count: int) -> Iterator[None]:
        """Surrounds queueing of the webhook for the job's end.

        If the job is not pending, another process has queued that webhook before.
        """
        task = self.world.scheduler.current
        if object_keys.pending(job_id, retry_count) not in self.world.s3.objects:
            self.repeating.add(task)
        try:
            yield
        finally:
            self.repeating.discard(task)

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """Receives a webhook. Returns the HTTP status."""
        status = self.world.rng.choice((200, 200, 200, 503)) if self.world.faults.on else 200
        if status == 200:
            self._delivered(MessageId.parse(headers["webhook-id"]))
            self.delivered[headers["webhook-id"]].append(json.loads(body))
        return status

    def _delivered(self, message: MessageId) -> None:
        if str(message) in self.delivered:
            return  # a repetition, which may come at any time
        earlier = [known for known in map(MessageId.parse, self.delivered) if known.job_id == message.job_id]
        if earlier and max(earlier) > message:
            self.broken.append(f"webhook out of order: {message} after {max(earlier)}")

    # --- reported by the stores ---

    def _wrote(self, key: str, before: bytes | None, after: bytes) -> None:
        name = key.rsplit("/", 1)[-1]
        if object_keys.outcome_retry_count(key) is not None and key.startswith(object_keys.JOBS):
            if self.outcomes.setdefault(key, after) != after and key.split("/")[1] not in self.delete_requested():
                self.broken.append(f"two outcomes: {key}")
        elif key.startswith(object_keys.PENDING):
            job_id, retry_count = object_keys.parse_pending(key)
            # A delayed retry request may mark an ended retry as pending again: its webhook may then be sent again.
            self.finished_deliveries.discard(f"{job_id}-{retry_count}-completed")
        elif key.startswith("webhooks/") and before is None and name in self.finished_deliveries:
            if self.world.scheduler.current in self.repeating:
                self.broken.append(f"webhook sent again: {name}, long after it was delivered")
        elif name == "manifest.json" and b'"params"' in after:
            self.seed_of[key.split("/")[1]] = json.loads(after)["params"]["seed"]

    def delete_requested(self) -> set[str]:
        """Returns the ids of the jobs for which a delete was requested, confirmed or not."""
        return {job_id for what, job_id in self.requests if what == "delete"}

    def _removed(self, key: str) -> None:
        if key.startswith("webhooks/"):
            self.finished_deliveries.add(key.removeprefix("webhooks/"))

    def _changed(self, before: Job, after: Job) -> None:
        back = before.state.is_terminal and after.state is not before.state and after.state is not JobState.EXPIRED
        if back and after.retry_count == before.retry_count:
            self.broken.append(f"ended twice: {before.id} went from {before.state} to {after.state}")
