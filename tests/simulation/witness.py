"""Keeps in mind what was promised to whom, and what was seen; `judge.py` compares it with what is left."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.jobs import Job, JobState, Outcome
from shared.s3 import object_keys
from tests.simulation.scheduler import Task

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass
class Sending:
    """One logical submission, however often it was sent; its dream's seed tells it from all others."""

    owner: str
    key: str | None
    webhook: bool
    times: int = 0
    answered: set[str] = field(default_factory=set)  # job ids


class Witness:
    def __init__(self, world: "World") -> None:
        self.world = world
        self.broken: list[str] = []
        self.sendings: dict[int, Sending] = {}
        self.seed_of: dict[str, int] = {}  # by job id, of every manifest ever written
        self.wishes: Counter[tuple[str, str]] = Counter()
        self.deleted: dict[str, float] = {}
        self.canceled: dict[tuple[str, int], float] = {}
        self.last_seen: dict[str, int] = {}  # retry count, as the job's client knows it
        self.retried: set[tuple[str, int]] = set()
        self.settling: dict[tuple[str, int], float] = {}  # when somebody began to end it otherwise than canceled
        self.outcomes: dict[str, bytes] = {}
        self.received_claims: Counter[tuple[str, int]] = Counter()
        self.delivered: dict[str, list[dict]] = defaultdict(list)
        self.finished_deliveries: set[str] = set()
        self.owing_again: set[Task] = set()
        world.s3.wrote, world.s3.removed = self._wrote, self._removed
        world.redis.changed, world.redis.claim_arrived = self._changed, self.claim_received

    # --- told by the clients ---

    def sent(self, owner: str, seed: int, key: str | None, options) -> None:
        sending = self.sendings.setdefault(seed, Sending(owner, key, options.webhook_url is not None))
        sending.times += 1

    def accepted(self, job_id: str, seed: int) -> None:
        self.sendings[seed].answered.add(job_id)
        if len(self.sendings[seed].answered) > 1:
            self.broken.append(f"key doubled: {self.sendings[seed].answered} were answered for one submission")

    def refused(self, seed: int, error: Exception) -> None:
        pass

    def wished(self, what: str, job_id: str) -> None:
        self.wishes[what, job_id] += 1

    def granted(self, what: str, job_id: str, job: Job | None) -> None:
        now = self.world.scheduler.now
        if what == "delete":
            self.deleted.setdefault(job_id, now)
        elif what == "cancel" and job is not None and job.state not in {JobState.SUCCEEDED, JobState.FAILED}:
            self.canceled.setdefault((job_id, job.retry_count), now)
        elif what == "retry" and job is not None:
            self.retried.add((job_id, job.retry_count))
            if job.retry_count <= self.last_seen.get(job_id, -1):
                self.broken.append(f"retry: {job_id} was answered with the job as it was before")

    def saw(self, job_id: str, job: Job | None, *, missing: bool) -> None:
        """A poll's answer."""
        if job is not None:
            self.last_seen[job_id] = job.retry_count
        if job is not None and job_id in self.deleted and self.world.redis.lost_at < self.deleted[job_id]:
            self.broken.append(f"deleted job returned: {job_id} is {job.state} after its delete was answered")
        if missing and ("delete", job_id) not in self.wishes:
            self.broken.append(f"lost: {job_id} was accepted and is answered with 404")

    # --- told by the product's own calls ---

    def settles(self, job_id: str, outcome: Outcome) -> None:
        if outcome.state is not JobState.CANCELED:
            self.settling.setdefault((job_id, outcome.retry_count), self.world.scheduler.now)

    def claim_received(self, job: Job) -> None:
        self.received_claims[job.id, job.retry_count] += 1

    @contextmanager
    def owes(self, job_id: str, retry_count: int) -> Iterator[None]:
        """Somebody owes the message that the job ended. If nothing is pending, somebody else has owed it before."""
        task = self.world.scheduler.current
        if object_keys.pending(job_id, retry_count) not in self.world.s3.objects:
            self.owing_again.add(task)
        try:
            yield
        finally:
            self.owing_again.discard(task)

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """The receiver."""
        status = self.world.rng.choice((200, 200, 200, 503))
        if status == 200:
            self.delivered[headers["webhook-id"]].append(json.loads(body))
        return status

    # --- told by the stores ---

    def _wrote(self, key: str, before: bytes | None, after: bytes) -> None:
        name = key.rsplit("/", 1)[-1]
        if object_keys.outcome_retry_count(key) is not None and key.startswith(object_keys.JOBS):
            if self.outcomes.setdefault(key, after) != after and key.split("/")[1] not in self.deleted_or_asked():
                self.broken.append(f"two outcomes: {key}")
        elif key.startswith("webhooks/") and before is None and name in self.finished_deliveries:
            if self.world.scheduler.current in self.owing_again:
                self.broken.append(f"webhook sent again: {name}, long after it was delivered")
        elif name == "manifest.json" and b'"params"' in after:
            self.seed_of[key.split("/")[1]] = json.loads(after)["params"]["seed"]

    def deleted_or_asked(self) -> set[str]:
        return {job_id for what, job_id in self.wishes if what == "delete"}

    def _removed(self, key: str) -> None:
        if key.startswith("webhooks/"):
            self.finished_deliveries.add(key.removeprefix("webhooks/"))

    def _changed(self, before: Job, after: Job) -> None:
        back = before.state.is_terminal and after.state is not before.state and after.state is not JobState.EXPIRED
        if back and after.retry_count == before.retry_count:
            self.broken.append(f"ended twice: {before.id} went from {before.state} to {after.state}")
