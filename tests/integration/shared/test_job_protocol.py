"""Tests the protocol as a state machine: in any order of events, every accepted job ends exactly once.

The real Lua in a real Redis, the real caretaker and runner, S3 in memory. Workers die, freeze and wake, Redis is
wiped and rolled back at any step, and those who talk to it may die between any two of their calls.
"""

import io
import threading
import time
from contextlib import nullcontext, suppress
from types import SimpleNamespace

import numpy as np
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PIL import Image as Pillow

from shared.errors import ClaimLost, DreamError, JobNotFound
from shared.jobs.job import Job, JobError, JobProgress, JobState, Outcome
from shared.jobs.lifecycle import JobLifecycle
from shared.redis.job_store import RedisJobStore
from shared.s3 import object_keys
from shared.settings import Settings
from tests.fakes import documents
from tests.fakes.clock import FakeClock
from tests.fakes.job_factory import a_manifest
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from tests.fakes.store_indexes import disagreements
from worker.attempts.attempt import Attempt
from worker.attempts.interrupts import Canceled, Deleted
from worker.recovery.caretaker import Caretaker
from worker.recovery.housekeeping import WALK_EVERY_S
from worker.recovery.reconciliation import UNACCEPTED_S
from worker.runner import Runner

MODELS = ("efficientnet-lite0",)
FEW = 3  # jobs, so that what happens happens to the same ones


def a_png() -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (96, 80), (100, 110, 120)).save(file, "PNG")
    return file.getvalue()


PNG = a_png()


class InstantReport:
    def to_json(self):
        return b"{}"

    def recipe(self):
        return {}

    def with_warnings(self, warnings):
        return self


class InstantDreamer:
    def models(self):
        return MODELS

    def fetch(self, wanted):
        pass

    def load(self, model):
        pass

    def share(self, job, params, guide):
        return nullcontext()

    def choose_tile_size(self, params, height, width):
        return 256

    def dream(self, image, params, *, observer, resume, **_):
        return np.asarray(image, np.float32), InstantReport()


class Protocol(RuleBasedStateMachine):
    connection: Settings  # set by the test

    jobs = Bundle("jobs")
    attempts = Bundle("attempts")
    pictures = Bundle("pictures")  # what Redis looked like once

    def __init__(self) -> None:
        super().__init__()
        self.store = RedisJobStore.connect(self.connection)
        self.raw = redis.Redis.from_url(self.connection.redis_url)  # bytes, for pictures of it
        self.store.redis.flushall()
        self.storage = MemoryObjectStorage()
        self.lifecycle = JobLifecycle(self.storage, self.store, MemoryNotifier())
        self.records = self.lifecycle.records
        self.clock = FakeClock(time.time())
        self.settings = self.connection.model_copy(
            update={"worker_name": "w", "progress_interval_s": 3600.0, "reconcile_interval_s": 5.0}
        )
        self.caretakers = [self.a_caretaker() for _ in range(2)]
        self.accepted: set[str] = set()
        self.deleted: set[str] = set()
        self.cancel_asked: set[str] = set()
        self.retried: set[tuple[str, int]] = set()
        self.outcomes: dict[str, bytes] = {}
        self.known: dict[str, Job] = {}  # as last seen in Redis, since it last lost something

    # --- what can happen ---

    @precondition(lambda self: len(self.accepted) < FEW)
    @rule(
        target=jobs,
        owner=st.sampled_from(["ann", "bob"]),
        priority=st.sampled_from(["high", "normal", "low"]),
        dies=st.booleans(),
    )
    def submit(self, owner, priority, dies):
        manifest = a_manifest(owner=owner, priority=priority, created_at=self.clock.now())
        self.accepted.add(manifest.id)
        if dies:
            documents.accepted(self.storage, manifest, PNG)
        else:
            self.lifecycle.accept(manifest, {object_keys.image(manifest.id): io.BytesIO(PNG)})
        return manifest.id

    @rule(target=attempts)
    def claim(self):
        job = self.lifecycle.claim("w", MODELS, lease_s=600)
        return multiple() if job is None or not self.begin(job) else job

    @rule(attempt=attempts, fraction=st.floats(0, 1))
    def renew(self, attempt, fraction):
        with suppress(ClaimLost, JobNotFound):
            self.store.renew(attempt, lease_s=600, progress=JobProgress(fraction=fraction))

    @rule(attempt=attempts, iteration=st.integers(1, 9))
    def checkpoint(self, attempt, iteration):
        if self.store_knows(attempt):
            self.storage.put(object_keys.checkpoint(attempt.id, 0, iteration, attempt.claim), b"float-exact")
            with suppress(ClaimLost):
                self.store.checkpoint_stored(attempt)

    @rule(attempt=attempts)
    def release(self, attempt):
        mine = self.store_knows(attempt)
        try:
            self.store.release(attempt)
        except ClaimLost:
            assert not mine
        else:
            assert mine

    @rule(attempt=attempts, state=st.sampled_from([JobState.SUCCEEDED, JobState.FAILED]), dies=st.booleans())
    def commit(self, attempt, state, dies):
        """Commits, also for an attempt that lost its claim since its last check."""
        self.storage.put(object_keys.output(attempt.id, attempt.claim, "result.png"), attempt.claim.encode())
        outcome = self.outcome(attempt, state)
        if dies:  # between the commit and the first who would hear of it
            documents.settled(self.storage, attempt.id, outcome)
            return
        settled = self.lifecycle.settle(attempt.id, outcome)
        if settled.claim == attempt.claim:
            self.lifecycle.sweep(attempt.id, settled)
        else:
            self.discard(attempt)

    @rule(attempt=attempts)
    def abandon(self, attempt):
        try:
            self.store.renew(attempt, lease_s=600)
        except ClaimLost:
            self.discard(attempt)
        except JobNotFound:
            if self.records.is_deleted(attempt.id):
                self.discard(attempt)

    @rule(job_id=jobs, dies=st.booleans())
    def cancel(self, job_id, dies):
        job = self.look_up(job_id)
        if job is None or job.state.is_terminal:
            return
        self.cancel_asked.add(job_id)
        if dies:
            documents.cancel_asked(self.storage, job)
        else:
            self.lifecycle.cancel(job, now=self.clock.now())

    @rule(job_id=jobs, dies=st.booleans())
    def delete(self, job_id, dies):
        if self.look_up(job_id) is None:
            return
        self.deleted.add(job_id)
        if dies:
            documents.deleted(self.storage, job_id)
        else:
            self.lifecycle.delete(job_id)

    @rule(job_id=jobs, dies=st.booleans())
    def retry(self, job_id, dies):
        job = self.look_up(job_id)
        if job is None or job.state is not JobState.FAILED:
            return
        self.retried.add((job_id, job.retry_count + 1))
        if dies:
            documents.retried(self.storage, job)
        else:
            self.lifecycle.retry(job, now=self.clock.now())

    @rule(job_id=jobs)
    def look_at(self, job_id):
        self.look_up(job_id)

    @rule(which=st.integers(0, 1), seconds=st.sampled_from([0.0, 1.0, 10.0, 20.0]))
    def run_round(self, which, seconds):
        self.clock.time += seconds
        self.caretakers[which].run_round()

    @rule(attempt=attempts, judge=st.integers(0, 1))
    def lapse(self, attempt, judge):
        if self.store_knows(attempt):
            self.store.redis.hset(f"dream:job:{attempt.id}", "lease_ms", 0)
            self.store.redis.zadd("dream:leases", {attempt.id: 0})
            self.caretakers[judge]._expire_lease(attempt)

    @rule()
    def flush(self):
        self.store.redis.flushall()
        self.known.clear()

    @rule(target=pictures)
    def remember(self):
        return {key: self.raw.dump(key) for key in self.raw.keys("dream:*")}

    @precondition(lambda self: self.accepted)
    @rule(picture=pictures)
    def roll_back(self, picture):
        self.restart_redis(picture)

    # --- what must hold at every step ---

    @invariant()
    def indexes_agree_with_the_hashes(self):
        assert disagreements(self.store.redis) == []

    @invariant()
    def an_outcome_is_never_written_twice(self):
        for key, document in self.storage.objects.items():
            if object_keys.outcome_retry_count(key) is not None and key.split("/")[1] not in self.deleted:
                assert self.outcomes.setdefault(key, document) == document

    @invariant()
    def what_redis_calls_ended_has_that_outcome_and_stays_ended(self):
        for key in self.store.redis.keys("dream:job:*"):
            job = self.store.get(key.removeprefix("dream:job:"))
            if job.state.is_terminal and job.id not in self.deleted:
                assert self.records.outcome(job.id, job.retry_count).state is job.state
            before = self.known.get(job.id)
            if before is not None and before.retry_count == job.retry_count:
                assert not before.state.is_terminal or before.state is job.state
                assert before.progress.fraction <= job.progress.fraction
            self.known[job.id] = job

    def teardown(self):
        """Kills every process; one new worker and a caretaker finish the jobs."""
        if len(self.outcomes) % 2:  # what S3 holds must be enough
            self.store.redis.flushall()
        caretaker = self.a_caretaker()
        for _ in range(8):
            for job_id in self.store.redis.zrange("dream:leases", 0, -1):
                self.store.redis.hset(f"dream:job:{job_id}", "lease_ms", 0)
                self.store.redis.zadd("dream:leases", {job_id: 0})
            self.clock.time += 10  # less than a lease, or it would think that it was frozen
            self.store.redis.delete("dream:leader")
            caretaker.run_round()
            while self.runner().run_next():
                pass
        self.clock.time += UNACCEPTED_S + WALK_EVERY_S
        self.store.redis.delete("dream:leader")
        caretaker.run_round()
        try:
            self.everything_ended_once()
        finally:
            self.store.redis.close()
            self.raw.close()

    def everything_ended_once(self):
        assert list(self.storage.keys(object_keys.PENDING)) == []
        for job_id in self.accepted - self.deleted:
            job = self.store.get(job_id)
            assert job.state.is_terminal
            assert self.records.recall(job_id).state is job.state
            assert job.state is not JobState.CANCELED or job_id in self.cancel_asked
            outputs = {key for key in self.storage.keys(object_keys.attempts(job_id)) if key.endswith("result.png")}
            won = {object_keys.output(job_id, job.claim, "result.png")} if job.state is JobState.SUCCEEDED else set()
            assert outputs == won
            assert job.state is not JobState.FAILED or job.error.code != DreamError.code  # an unexpected error
            if job.state is JobState.SUCCEEDED:  # a retry resumes the others
                assert list(self.storage.keys(object_keys.checkpoints(job_id))) == []
        for job_id, retry_count in self.retried:
            assert job_id in self.deleted or self.records.outcome(job_id, retry_count)
        for job_id in self.deleted:
            assert self.store.get(job_id) is None
            assert list(self.storage.keys(object_keys.job(job_id))) == []
        assert self.store.waiting() == {}
        assert self.store.redis.zcard("dream:leases") == 0

    # --- the people in it ---

    def a_caretaker(self) -> Caretaker:
        return Caretaker(
            store=self.store, storage=self.storage, notifier=MemoryNotifier(), clock=self.clock, settings=self.settings
        )

    def runner(self) -> Runner:
        return Runner(
            store=self.store,
            storage=self.storage,
            notifier=MemoryNotifier(),
            dreamer=InstantDreamer(),
            clock=self.clock,
            settings=self.settings,
            drain=threading.Event(),
            die=lambda: None,
        )

    def begin(self, job: Job) -> bool:
        """Begins a claimed job as a runner does. Returns whether there is something to dream."""
        try:
            return not self.runner()._ended_before(job, self.records.keys(job.id))
        except Canceled:
            self.lifecycle.settle(job.id, self.outcome(job, JobState.CANCELED))
        except Deleted:
            self.discard(job)
        return False

    def discard(self, job: Job) -> None:
        Attempt(
            job,
            store=self.store,
            storage=self.storage,
            lifecycle=self.lifecycle,
            dreamer=InstantDreamer(),
            lease=SimpleNamespace(is_committing=False),
            clock=self.clock,
            settings=self.settings,
        ).discard()

    def look_up(self, job_id: str) -> Job | None:
        """As the api does."""
        return self.store.get(job_id) or self.lifecycle.restore(job_id, now=self.clock.now())

    def outcome(self, job: Job, state: JobState) -> Outcome:
        return Outcome(
            retry_count=job.retry_count,
            state=state,
            finished_at=self.clock.now(),
            claim=job.claim if state is JobState.SUCCEEDED else None,
            attempt=job.attempt,
            error=JobError(code="out_of_memory", message="It did not fit.") if state is JobState.FAILED else None,
        )

    def store_knows(self, attempt: Job) -> bool:
        known = self.store.get(attempt.id)
        return known is not None and known.state.is_claimed and known.claim == attempt.claim

    def restart_redis(self, picture: dict[bytes, bytes]) -> None:
        self.raw.flushall()
        for key, value in picture.items():
            self.raw.restore(key, 0, value)
        self.known.clear()
        for caretaker in self.caretakers:
            caretaker._generation = None  # as a new run_id would make it


def test_every_accepted_job_ends_once_in_any_order_of_events(services):
    class Connected(Protocol):
        connection = services.settings

    run_state_machine_as_test(
        Connected,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
