"""Records requests, responses and writes during a run; `checks.py` compares them with the final state."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.errors import DreamError
from shared.jobs.job import Job, JobState, Outcome
from shared.s3 import object_keys
from shared.webhooks.delivery import MessageId
from tests.simulation.scheduler import Process, Task
from worker.dream.progress.observer import ResumePoint

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
        self.claims: set[str] = set()  # that reached a worker
        self.delivered: dict[str, list[dict]] = defaultdict(list)
        self.receivers: dict[int, str] = {}  # how a job's receiver answers, by seed
        self.refusals: Counter[str] = Counter()  # attempts to deliver a message that failed
        self.gone: set[str] = set()  # messages answered with 410
        self.late_starts: dict[str, str] = {}  # violations, unless this `completed` is sent again
        self.removed: set[str] = set()  # messages that were delivered or given up
        self.closed: dict[str, float] = {}  # messages that are removed and no longer owed: since when
        self.checkpoints: dict[str, set[str]] = defaultdict(set)  # keys that Redis heard of, by job
        self.storing: dict[Task, str] = {}  # keys of the checkpoints that tasks are storing
        self.damaged: dict[str, str] = {}  # checkpoints that a fault damaged, by job
        self.begun_with: dict[str, tuple[Job, set[str]]] = {}  # a process's job and the checkpoints when it began
        world.s3.wrote, world.s3.removed = self._wrote, self._removed
        world.redis.changed, world.redis.claim_arrived = self._changed, self.claim_received
        world.redis.checkpoint_known, world.redis.death_counted = self._checkpoint_known, self._death_counted

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

    def granted(self, what: str, job_id: str, job: Job | None, asked_at: float) -> None:
        now = self.world.scheduler.now
        if what == "delete":  # Redis can lose it while the response is still on its way
            self.deleted.setdefault(job_id, asked_at)
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
        self.claims.add(job.claim or "")
        self.begun_with[self.world.scheduler.current.process.name] = job, set(self.checkpoints[job.id])

    def resumed(self, process: Process, point: ResumePoint | None) -> None:
        """Checks that an attempt resumes no earlier than the last checkpoint that Redis had heard of when it began.

        Of the last two one may be damaged. Once the job has ended, its checkpoints may be gone.
        """
        job, known = self.begun_with[process.name]
        kept = [key for key in sorted(known)[-2:] if self.damaged.get(job.id) != key]
        ended = object_keys.outcome(job.id, job.retry_count) in self.outcomes or job.id in self.delete_requested()
        if not kept or ended:
            return
        octave, iteration = map(int, kept[-1].rsplit("/", 1)[-1].split("-")[:2])
        if point is None or (point.octave, point.iteration) < (octave, iteration):
            began_at = point and f"{point.octave}-{point.iteration}"
            self.broken.append(f"progress lost: {job.id} began at {began_at} and not at {octave}-{iteration}")

    @contextmanager
    def begins(self) -> Iterator[None]:
        """Surrounds a call, and notes when it was made in what it sends."""
        task = self.world.scheduler.current
        before, task.began = task.began, self.world.scheduler.now
        try:
            yield
        finally:
            task.began = before

    @contextmanager
    def stores_checkpoint(self, key: str) -> Iterator[None]:
        task = self.world.scheduler.current
        self.storing[task] = key
        try:
            yield
        finally:
            del self.storing[task]

    def counting_refusals(self, send: Callable[..., int]) -> Callable[..., int]:
        """Wraps what sends a webhook, and counts the attempts that fail."""

        def sent(url: str, body: bytes, headers: dict[str, str]) -> int:
            try:
                status = send(url, body, headers)
            except DreamError:
                self.refusals[headers["webhook-id"]] += 1
                raise
            if status != 200:
                self.refusals[headers["webhook-id"]] += 1
            return status

        return sent

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """Receives a webhook. Returns the HTTP status, as the job's receiver answers also after the faults."""
        message = headers["webhook-id"]
        receiver = self.receivers[self.seed_of[message.split("-")[0]]]
        flaky = self.world.rng.choice((200, 200, 200, 503))
        status = {"well": 200, "flaky": flaky, "down": 503, "gone": 410}[receiver]
        if status == 200:
            self._delivered(MessageId.parse(message))
            self.delivered[message].append(json.loads(body))
        elif status == 410:
            self.gone.add(message)
        return status

    def _delivered(self, message: MessageId) -> None:
        """Checks the order. A `started` that S3 got late may follow `completed` if that is sent once more after it."""
        self.late_starts.pop(str(message), None)
        if str(message) in self.delivered:
            return  # a repetition, which may come at any time
        earlier = [known for known in map(MessageId.parse, self.delivered) if known.job_id == message.job_id]
        if not earlier or max(earlier) <= message:
            return
        violation = f"webhook out of order: {message} after {max(earlier)}"
        if max(earlier) == message.completed:
            self.late_starts[str(message.completed)] = violation
        else:
            self.broken.append(violation)

    # --- reported by the stores ---

    def _wrote(self, key: str, before: bytes | None, after: bytes) -> None:
        name = key.rsplit("/", 1)[-1]
        if object_keys.outcome_retry_count(key) is not None and key.startswith(object_keys.JOBS):
            if self.outcomes.setdefault(key, after) != after and key.split("/")[1] not in self.delete_requested():
                self.broken.append(f"two outcomes: {key}")
        elif key.startswith(object_keys.PENDING):
            job_id, retry_count = object_keys.parse_pending(key)
            self._owed_again(f"{job_id}-{retry_count}-completed")
        elif key.startswith("webhooks/") and before is None and name in self.closed:
            if self._was_sent_after(self.closed[name]):
                self.broken.append(f"webhook sent again: {name}, after it was delivered and no longer owed")
        elif name == "manifest.json" and b'"params"' in after:
            self.seed_of[key.split("/")[1]] = json.loads(after)["params"]["seed"]

    def delete_requested(self) -> set[str]:
        """Returns the ids of the jobs for which a delete was requested, confirmed or not."""
        return {job_id for what, job_id in self.requests if what == "delete"}

    def _removed(self, key: str) -> None:
        if key.startswith("webhooks/"):
            message = MessageId.parse(key.removeprefix("webhooks/"))
            self.removed.add(str(message))
            self._close_if_not_owed(message.job_id, message.retry_count, without=())
        elif key.startswith(object_keys.PENDING):
            job_id, retry_count = object_keys.parse_pending(key)
            self._close_if_not_owed(job_id, retry_count, without=(key,))

    def _close_if_not_owed(self, job_id: str, retry_count: int, *, without: Collection[str]) -> None:
        pending, message = object_keys.pending(job_id, retry_count), f"{job_id}-{retry_count}-completed"
        if message in self.removed and (pending in without or pending not in self.world.s3.objects):
            self.closed[message] = self.world.scheduler.now

    def _owed_again(self, message: str) -> None:
        """Permits a repetition of the message if `pending` was sent before the message was closed, and arrived late."""
        if message in self.closed and not self._was_sent_after(self.closed[message]):
            del self.closed[message]

    def _was_sent_after(self, at: float) -> bool:
        began = self.world.scheduler.current.began
        return began is not None and began > at

    def _death_counted(self, job: Job) -> None:
        if job.claim not in self.claims:
            self.broken.append(f"death: {job.id} counts one for a claim that reached no worker")

    def _checkpoint_known(self, job: Job) -> None:
        key = self.storing.get(self.world.scheduler.current)
        if key is not None:
            self.checkpoints[job.id].add(key)

    def _changed(self, before: Job, after: Job) -> None:
        back = before.state.is_terminal and after.state is not before.state and after.state is not JobState.EXPIRED
        if back and after.retry_count == before.retry_count:
            self.broken.append(f"ended twice: {before.id} went from {before.state} to {after.state}")
