"""Simulates clients that submit, cancel, retry, delete and poll, and repeat requests without a response."""

import io
import random
from collections.abc import Callable
from dataclasses import dataclass

from api.jobs.job_service import JobService
from api.jobs.submission import Sent, Submission, Uploaded
from api.jobs.submission_service import Accepted, SubmissionService
from api.schemas.requests import JobOptions
from shared.errors import DreamError, JobNotFound
from shared.jobs.job import Job, JobState
from shared.params import DreamParams
from shared.s3 import object_keys
from tests.simulation.engine import a_photograph
from tests.simulation.scheduler import Process, Task
from tests.simulation.world import World

OWNERS = ("ann", "bob")
PHOTOGRAPH = a_photograph()
RECEIVERS = ("well", "well", "well", "flaky", "flaky", "down", "gone")  # of webhooks, before and after the faults


@dataclass(frozen=True)
class Answer:
    """Holds the response to one request; neither field is set when there was none."""

    value: object = None
    error: Exception | None = None


class Clients:
    """Runs clients, which no fault affects. Each request is a task; none is started after the faults have ended."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(world.rng.random())
        self.process = Process("clients")
        self.seeds = iter(range(1, 1000))
        self.busy = 0

    def begin(self, submissions: int, seconds: float) -> None:
        for _ in range(submissions):
            self._spawn("client", self._live, self.rng.uniform(0, seconds))

    def _spawn(self, name: str, work: Callable[[], None], after_s: float = 0.0) -> None:
        def run() -> None:
            try:
                work()
            finally:
                self.busy -= 1

        self.busy += 1
        self.world.scheduler.spawn(self.process, name, run, after_s=after_s)

    def _live(self) -> None:
        """Submits one job and then acts on it as its client."""
        rng, seed = self.rng, next(self.seeds)
        owner = rng.choice(OWNERS)
        key = f"key-{seed}" if rng.random() < 0.6 else None
        self.world.failures[seed] = rng.choice((0, 0, 0, 1, 2))
        self.world.witness.receivers[seed] = rng.choice(RECEIVERS)
        if rng.random() < 0.08:
            self.world.deadly.add(seed)
        options = JobOptions(
            priority=rng.choice(("high", "normal", "low")),
            webhook_url="http://127.0.0.1/hook" if rng.random() < 0.6 else None,
            webhook_events=("started", "completed"),
            deadline_s=rng.choice((None, None, None, 300.0)),
        )
        uploads = rng.random() < 0.2
        if key is not None and rng.random() < 0.3:  # the same request twice, concurrently
            self._spawn("repeat", lambda: self._submit(owner, options, seed, key, uploads=False))
        job_id = self._submit(owner, options, seed, key, uploads=uploads and key is None)
        if job_id is not None:
            self._act_on(owner, job_id)

    def _submit(self, owner: str, options: JobOptions, seed: int, key: str | None, *, uploads: bool) -> str | None:
        """Submits and returns the accepted job's id. With a key it repeats the request until it gets a response."""
        witness = self.world.witness
        while True:
            witness.sent(owner, seed, key, options)
            patience_s = self.rng.choice((5.0, 30.0, 60.0))
            answer = self._ask(lambda at: self._send(at, owner, options, seed, key, uploads=uploads), patience_s)
            if isinstance(answer.value, Accepted):
                witness.accepted(answer.value.job.id, seed)
                return answer.value.job.id
            if answer.error is not None:
                witness.refused(seed, answer.error)
            final = answer.error is not None and not getattr(answer.error, "retryable", False)
            if key is None or final or not self.world.faults.on:
                return None
            self.world.scheduler.sleep(self.rng.choice((1.0, 10.0, 70.0)))

    def _send(self, at: str, owner: str, options: JobOptions, seed: int, key: str | None, *, uploads: bool) -> Accepted:
        image = Sent(io.BytesIO(PHOTOGRAPH))
        if uploads:
            upload_id, _ = self.world.intakes[at].upload(owner)
            self.world.s3.put(object_keys.upload(owner, upload_id), PHOTOGRAPH)
            image = Uploaded(upload_id)
        submission = Submission(options=options, params=DreamParams(seed=seed, octaves=2, iterations=3), image=image)
        submissions: SubmissionService = self.world.intakes[at]
        return submissions.submit(owner, submission, key=key)

    def _act_on(self, owner: str, job_id: str) -> None:
        """Polls the job, and deletes, cancels or retries it at random."""
        world, rng = self.world, self.rng
        while world.faults.on:
            world.scheduler.sleep(rng.uniform(1.0, 90.0))
            answer = self._ask(lambda at: world.services[at].get(owner, job_id), 30.0)
            job = answer.value if isinstance(answer.value, Job) else None
            world.witness.saw(job_id, job, missing=isinstance(answer.error, JobNotFound))
            choice = rng.random()
            if choice < 0.1:
                self._request("delete", owner, job_id, lambda service: service.delete(owner, job_id))
            elif choice < 0.25 and (job is None or not job.state.is_terminal):
                self._request("cancel", owner, job_id, lambda service: service.cancel(owner, job_id))
            elif job is not None and job.state in {JobState.FAILED, JobState.CANCELED} and choice < 0.7:
                self._request("retry", owner, job_id, lambda service: service.retry(owner, job_id))

    def _request(self, what: str, owner: str, job_id: str, act: Callable[[JobService], object]) -> None:
        witness = self.world.witness
        while True:
            witness.requested(what, job_id)
            asked_at = self.world.scheduler.now
            answer = self._ask(lambda at: act(self.world.services[at]), self.rng.choice((5.0, 30.0)))
            if answer.error is None and answer.value is not None:
                witness.granted(what, job_id, answer.value if isinstance(answer.value, Job) else None, asked_at)
            done = answer.value is not None or (
                answer.error is not None and not getattr(answer.error, "retryable", False)
            )
            if done or not self.world.faults.on or self.rng.random() < 0.3:
                return
            self.world.scheduler.sleep(self.rng.uniform(1.0, 20.0))

    def _ask(self, request: Callable[[str], object], patience_s: float) -> Answer:
        """Sends one request to one of the APIs, which completes it even after the client has stopped waiting."""
        scheduler = self.world.scheduler
        answers: list[Answer] = []
        waiters: list[Task] = []
        at = self.rng.choice(("api-1", "api-2"))

        def handle() -> None:
            try:
                value = request(at)
                answers.append(Answer(value=True if value is None else value))
            except DreamError as exc:
                answers.append(Answer(error=exc))
            except Exception as exc:  # noqa: BLE001 - the simulation searches for such errors
                self.world.witness.broken.append(f"500: {type(exc).__name__} {exc}")
                answers.append(Answer(error=exc))
            scheduler.wake(waiters)

        process = self.world.processes[at]
        if process.dead:
            return Answer()
        scheduler.spawn(process, "request", handle)
        scheduler.wait(waiters, patience_s)
        return answers[0] if answers else Answer()
