"""The contract of JobStore, tested on the in-memory fake and on a real Redis."""

import json
import time
from dataclasses import replace

import pytest

from shared.errors import ClaimLost, JobNotFound, StoreUnavailable
from shared.interfaces import WeightsFetch, WorkerInfo
from shared.jobs.job import JobError, JobProgress, JobState, Outcome
from shared.params import DreamParams
from shared.redis.job_queries import RedisJobQueries
from shared.redis.job_store import RedisJobStore
from shared.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.job_factory import a_job
from tests.fakes.job_queries import MemoryJobQueries, RecordingJobStore
from tests.fakes.job_store import MemoryJobStore

LITE0 = ["efficientnet-lite0"]


class Memory:
    def __init__(self) -> None:
        self.store = MemoryJobStore()

    def expire_lease(self, job_id: str) -> None:
        self.store.leases[job_id] = 0

    def wipe(self) -> None:
        self.store.wipe()

    def leave_nothing(self) -> bool:
        return not self.store.jobs and not self.store.leases


class Real:
    def __init__(self, settings: Settings) -> None:
        self.store = RedisJobStore.connect(settings)

    def expire_lease(self, job_id: str) -> None:
        self.store.redis.hset(f"dream:job:{job_id}", "lease_ms", 0)
        self.store.redis.zadd("dream:leases", {job_id: 0})

    def wipe(self) -> None:
        self.store.redis.flushall()

    def leave_nothing(self) -> bool:
        expiring = {*self.store.redis.keys("dream:claim:*"), *self.store.redis.keys("dream:forgotten:*")}
        return set(self.store.redis.keys("*")) - expiring <= {"dream:turn"}


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.service)])
def backend(request):
    return Memory() if request.param == "memory" else Real(request.getfixturevalue("settings"))


@pytest.fixture
def store(backend):
    return backend.store


def claimed(store, **fields):
    store.create(a_job(**fields))
    return acknowledged(store)


def acknowledged(store):
    job = store.claim("w1", LITE0, lease_s=10)
    store.renew(job, lease_s=10)
    return job


def outcome(job, state=JobState.SUCCEEDED, **fields):
    return Outcome(retry_count=job.retry_count, state=state, finished_at=1_800_000_100.5, attempt=job.attempt, **fields)


def test_a_created_job_comes_back_as_it_was(store):
    job = a_job(deadline_at=1_900_000_000.0)
    assert store.create(job)
    known = store.get(job.id)
    assert known.version > 0
    assert {**known.__dict__, "version": 0} == job.__dict__


def test_a_second_create_changes_nothing(store):
    job = claimed(store)
    assert not store.create(a_job(id=job.id))
    assert store.get(job.id).state is JobState.RUNNING


def test_an_unknown_job_is_none_everywhere(store):
    assert store.get("x") is None
    assert store.cancel("x", retry_count=0) is None
    assert store.retry("x", retry_count=1) is None
    assert store.expire("x", retry_count=0) is None
    assert store.finish("x", outcome(a_job())) is None
    store.forget("x")


def test_a_claim_takes_the_oldest_and_says_who_has_it(store):
    old, new = a_job(), a_job()
    for job in (new, old):
        store.create(job)
    first = store.claim("w1", LITE0, lease_s=10)
    assert (first.id, first.state, first.worker, first.attempt) == (old.id, JobState.RUNNING, "w1", 1)
    assert first.claim
    assert first.started_at is not None
    assert store.claim("w2", LITE0, lease_s=10).id == new.id
    assert store.claim("w3", LITE0, lease_s=10) is None


def test_a_claim_takes_only_jobs_for_the_workers_models(store):
    store.create(a_job())
    assert store.claim("w1", ["inception5h"], lease_s=10) is None
    assert store.claim("w1", [], lease_s=10) is None
    assert store.claim("w1", ["inception5h", *LITE0], lease_s=10) is not None


def test_priority_comes_before_age(store):
    jobs = [a_job(priority=priority) for priority in ("low", "normal", "high")]
    for job in jobs:
        store.create(job)
    taken = [store.claim("w", LITE0, lease_s=10).priority for _ in jobs]
    assert taken == ["high", "normal", "low"]


def test_owners_take_turns_however_many_jobs_one_has(store):
    for _ in range(5):
        store.create(a_job(owner="ann"))
    store.create(a_job(owner="bob"))
    store.create(a_job(owner="cyd"))
    owners = [store.claim("w", LITE0, lease_s=10).owner for _ in range(7)]
    assert owners == ["ann", "bob", "cyd", "ann", "ann", "ann", "ann"]


def test_an_owner_at_the_limit_of_running_jobs_waits_while_others_do(store):
    for _ in range(4):
        store.create(a_job(owner="ann", priority="high"))
    for _ in range(3):
        store.create(a_job(owner="bob", priority="low"))
    owners = [store.claim("w", LITE0, lease_s=10, max_running=2).owner for _ in range(7)]
    # Two of ann's, which have priority, then two of bob's; then both are at the limit and priority counts again.
    assert owners == ["ann", "ann", "bob", "bob", "ann", "ann", "bob"]


def test_the_limit_of_running_jobs_leaves_no_worker_idle(store):
    for _ in range(3):
        store.create(a_job(owner="ann"))
    store.create(a_job(owner="bob", params=DreamParams(model="inception5h")))  # not for this worker
    assert [store.claim("w", LITE0, lease_s=10, max_running=1).owner for _ in range(3)] == ["ann"] * 3


def test_an_owner_who_submits_one_by_one_does_not_jump_the_queue(store):
    store.create(a_job(owner="ann"))
    store.create(a_job(owner="bob"))
    assert store.claim("w", LITE0, lease_s=10).owner == "ann"
    store.create(a_job(owner="ann"))
    assert store.claim("w", LITE0, lease_s=10).owner == "bob"


def test_an_owners_turn_is_one_whatever_the_jobs_are_for(store):
    for owner, model in (("ann", "inception5h"), ("ann", LITE0[0]), ("bob", LITE0[0]), ("cyd", "inception5h")):
        store.create(a_job(owner=owner, params=DreamParams(model=model)))
    assert store.claim("w", LITE0, lease_s=10).owner == "ann"
    assert store.claim("v", ["inception5h"], lease_s=10).owner == "cyd"  # ann was served, by whichever worker
    assert store.claim("u", ["inception5h", *LITE0], lease_s=10).owner == "bob"
    assert store.claim("u", ["inception5h", *LITE0], lease_s=10).owner == "ann"


def test_of_one_owners_jobs_the_oldest_comes_first_whatever_it_is_for(store):
    jobs = [a_job(params=DreamParams(model=model)) for model in ("inception5h", LITE0[0], "inception5h")]
    for job in jobs:
        store.create(job)
    taken = [store.claim("w", [*LITE0, "inception5h"], lease_s=10).id for _ in jobs]
    assert taken == [job.id for job in jobs]


@pytest.mark.parametrize("kind", ["memory", pytest.param("redis", marks=pytest.mark.service)])
def test_positions_count_the_waiting_jobs_ahead(kind, request):
    # given
    if kind == "memory":
        store = RecordingJobStore(FakeClock())
        queries = MemoryJobQueries(store, store.clock)
    else:
        store = RedisJobStore.connect(request.getfixturevalue("settings"))
        queries = RedisJobQueries(store.redis)
    low, normal, high, second = jobs = [a_job(priority=p) for p in ("low", "normal", "high", "normal")]
    for job in jobs:
        store.create(job)

    # when
    before = queries.positions(jobs)
    store.claim("w", LITE0, lease_s=10)
    after = queries.positions([store.get(job.id) for job in jobs])

    # then
    assert before == {high.id: 0, normal.id: 1, second.id: 2, low.id: 3}
    assert after == {normal.id: 0, second.id: 1, low.id: 2}


def test_renewing_publishes_progress_that_never_goes_back(store):
    job = claimed(store)
    assert store.renew(job, lease_s=10, progress=JobProgress(fraction=0.5, octave=1)) is JobState.RUNNING
    seen = store.get(job.id).version
    store.renew(job, lease_s=10, progress=JobProgress(fraction=0.25))
    store.renew(job, lease_s=10)
    assert store.get(job.id).progress == JobProgress(fraction=0.5, octave=1)
    assert store.get(job.id).version == seen
    store.renew(job, lease_s=10, progress=JobProgress(fraction=0.75))
    assert store.get(job.id).version > seen


def test_a_job_with_an_expired_lease_waits_again_and_its_old_claim_is_lost(store, backend):
    job = claimed(store)
    assert store.expired_leases() == []
    assert store.expire_lease(job, max_deaths=3) is None
    backend.expire_lease(job.id)
    assert [job.id for job in store.expired_leases()] == [job.id]
    reaped = store.expire_lease(job, max_deaths=3)
    assert (reaped.state, reaped.deaths, reaped.claim) == (JobState.QUEUED, 1, None)
    assert store.expire_lease(job, max_deaths=3) is None
    # The frozen worker wakes: it must not take back what was taken from it.
    with pytest.raises(ClaimLost):
        store.renew(job, lease_s=10)
    again = store.claim("w2", LITE0, lease_s=10)
    assert (again.id, again.attempt, again.started_at) == (job.id, 2, job.started_at)
    for call in (store.renew, store.checkpoint_stored, store.release):
        with pytest.raises(ClaimLost):
            call(job, lease_s=10) if call == store.renew else call(job)


def test_a_renewed_lease_is_not_reaped(store, backend):
    job = claimed(store)
    backend.expire_lease(job.id)
    store.renew(job, lease_s=10)
    assert store.expired_leases() == []
    assert store.expire_lease(job, max_deaths=3) is None


def test_the_last_death_leaves_the_job_for_the_caller_to_end(store, backend):
    job = claimed(store)
    for deaths in (1, 2):
        backend.expire_lease(job.id)
        assert store.expire_lease(job, max_deaths=3).deaths == deaths
        job = acknowledged(store)
    backend.expire_lease(job.id)
    assert store.expire_lease(job, max_deaths=3).state is JobState.RUNNING
    assert store.claim("w", LITE0, lease_s=10) is None


def test_a_checkpoint_forgives_the_deaths_before_it(store, backend):
    job = claimed(store)
    backend.expire_lease(job.id)
    store.expire_lease(job, max_deaths=3)
    job = store.claim("w", LITE0, lease_s=10)
    store.checkpoint_stored(job)
    assert store.get(job.id).deaths == 0


def test_the_tile_size_is_chosen_once(store):
    job = claimed(store)
    assert store.fix_tile_size(job, 512) == 512
    assert store.fix_tile_size(job, 256) == 512
    assert store.get(job.id).params.tile_size == 512


def test_a_released_job_waits_at_its_old_place(store):
    job = claimed(store)
    younger = a_job()
    store.create(younger)
    released = store.release(job)
    assert (released.state, released.claim, released.attempt, released.deaths) == (JobState.QUEUED, None, 1, 0)
    assert store.claim("w", LITE0, lease_s=10).id == job.id


def test_cancel_tells_a_running_job_and_leaves_a_waiting_one_to_its_outcome(store):
    running = claimed(store)
    waiting = a_job()
    store.create(waiting)
    assert store.cancel(waiting.id, retry_count=0).state is JobState.QUEUED
    assert store.finish(waiting.id, outcome(waiting, JobState.CANCELED)).state is JobState.CANCELED
    assert store.cancel(waiting.id, retry_count=0).state is JobState.CANCELED
    assert store.cancel(running.id, retry_count=0).state is JobState.CANCELING
    assert store.renew(running, lease_s=10) is JobState.CANCELING
    assert store.release(running).state is JobState.CANCELING
    assert store.claim("w", LITE0, lease_s=10) is None
    assert store.finish(running.id, outcome(running, JobState.CANCELED)).state is JobState.CANCELED


def test_a_canceling_job_whose_lease_lapsed_is_left_for_the_caller_to_end(store, backend):
    job = claimed(store)
    store.cancel(job.id, retry_count=0)
    backend.expire_lease(job.id)
    assert store.expire_lease(job, max_deaths=3).state is JobState.CANCELING


def test_finish_follows_the_outcome_once(store):
    job = claimed(store)
    store.renew(job, lease_s=10, progress=JobProgress(fraction=0.9, octave=4, octaves=5, iteration=8, iterations=10))
    done = store.finish(job.id, outcome(job, claim=job.claim))
    assert (done.state, done.claim, done.finished_at, done.worker) == (
        JobState.SUCCEEDED, job.claim, 1_800_000_100.5, None,
    )  # fmt: skip
    assert (done.progress.fraction, done.progress.iteration, done.progress.octaves) == (1, 10, 5)
    error = JobError(code="late", message="too late")
    assert store.finish(job.id, outcome(job, JobState.FAILED, error=error)).state is JobState.SUCCEEDED
    with pytest.raises(ClaimLost):
        store.renew(job, lease_s=10)


def test_retry_opens_a_new_epoch_that_old_outcomes_do_not_touch(store):
    job = claimed(store)
    error = JobError(code="out_of_memory", message="It did not fit.")
    failed = store.finish(job.id, outcome(job, JobState.FAILED, error=error))
    assert failed.error == error
    again = store.retry(job.id, retry_count=1)
    assert (again.state, again.retry_count, again.error, again.finished_at) == (JobState.QUEUED, 1, None, None)
    assert store.retry(job.id, retry_count=1).retry_count == 1
    assert store.finish(job.id, outcome(job, JobState.FAILED)).state is JobState.QUEUED
    assert store.claim("w", LITE0, lease_s=10).attempt == 2


def test_a_canceled_job_is_retried_like_a_failed_one_with_the_deadline_that_is_given(store):
    job = claimed(store, deadline_at=1_800_000_050.0)
    store.finish(job.id, outcome(job, JobState.CANCELED))
    again = store.retry(job.id, retry_count=1, deadline_at=1_900_000_000.0)
    assert (again.state, again.deadline_at) == (JobState.QUEUED, 1_900_000_000.0)
    store.finish(job.id, outcome(again, JobState.CANCELED))
    assert store.retry(job.id, retry_count=2).deadline_at is None
    assert store.retry(job.id, retry_count=2, deadline_at=1.0).deadline_at is None


def test_a_job_keeps_its_preset_and_what_differs_from_it(store):
    job = a_job(preset="eyes", changed=("iterations", "layers"))
    store.create(job)
    assert (store.get(job.id).preset, store.get(job.id).changed) == ("eyes", ("iterations", "layers"))


def test_a_wiped_redis_knows_nothing_and_a_rebuilt_one_gives_the_claim_back(store, backend):
    job = claimed(store)
    backend.wipe()
    with pytest.raises(JobNotFound):
        store.renew(job, lease_s=10)
    store.create(a_job(id=job.id))
    assert store.renew(job, lease_s=10) is JobState.RUNNING
    known = store.get(job.id)
    assert (known.claim, known.attempt, known.worker) == (job.claim, 1, "w1")
    assert store.claim("w2", LITE0, lease_s=10) is None


def test_after_a_wipe_the_first_to_claim_wins(store, backend):
    job = claimed(store)
    backend.wipe()
    store.create(a_job(id=job.id))
    assert store.claim("w2", LITE0, lease_s=10).id == job.id
    with pytest.raises(ClaimLost):
        store.renew(job, lease_s=10)


def test_a_job_is_renamed_in_any_state_and_those_who_watch_hear_of_it(store):
    job = a_job(name="cat.jpg")
    store.create(job)
    before = store.get(job.id)
    assert before.name == "cat.jpg"

    renamed = store.rename(job.id, "Miezi, große Katze")
    assert (renamed.name, renamed.state) == ("Miezi, große Katze", JobState.QUEUED)
    assert renamed.version > before.version
    assert store.rename(job.id, "Miezi, große Katze").version == renamed.version
    assert store.claim("w", ["efficientnet-lite0"], lease_s=15).name == "Miezi, große Katze"
    assert store.rename(job.id, None).name is None
    assert store.get(job.id).state is JobState.RUNNING
    assert store.rename("01ARZ3NDEKTSV4RRFFQ69G5FAV", "x") is None


def test_a_renamed_job_keeps_its_owners_turn(store):
    first, second = a_job(owner="ann"), a_job(owner="ben")
    store.create(first)
    store.create(second)
    store.rename(first.id, "later")
    assert store.claim("w", ["efficientnet-lite0"], lease_s=15).id == first.id


def test_a_forgotten_job_leaves_nothing_behind(store, backend):
    job = claimed(store, deadline_at=1_900_000_000.0)
    store.forget(job.id)
    assert store.get(job.id) is None
    assert store.expired_leases() == []
    assert backend.leave_nothing()


@pytest.mark.parametrize("known", [True, False])
def test_a_creation_that_arrives_after_the_job_was_forgotten_does_not_bring_it_back(store, known):
    job = a_job()
    if known:
        store.create(job)
    store.forget(job.id)
    assert not store.create(job)
    assert store.get(job.id) is None


def test_lists_are_newest_first_by_owner_state_and_page(store):
    jobs = [a_job() for _ in range(5)]
    for job in [*jobs, a_job(owner="bob")]:
        store.create(job)
    store.finish(jobs[1].id, outcome(jobs[1], JobState.CANCELED))
    newest = [job.id for job in reversed(jobs)]
    assert [job.id for job in store.list_jobs("local")] == newest
    assert [job.id for job in store.list_jobs("local", limit=2)] == newest[:2]
    assert [job.id for job in store.list_jobs("local", before=newest[1], limit=2)] == newest[2:4]
    canceled = frozenset({JobState.CANCELED})
    assert [job.id for job in store.list_jobs("local", states=canceled)] == [jobs[1].id]
    assert [job.id for job in store.list_jobs("local", kind="dream", limit=1)] == newest[:1]
    assert store.list_jobs("nobody") == []


def test_waiting_is_counted_by_model(store):
    for _ in range(3):
        store.create(a_job())
    assert dict(store.waiting()) == {"efficientnet-lite0": 3}
    job = store.claim("w", LITE0, lease_s=10)
    assert dict(store.waiting()) == {"efficientnet-lite0": 2}
    store.release(job)
    assert dict(store.waiting()) == {"efficientnet-lite0": 3}


def test_the_census_counts_jobs_by_kind_and_state_through_all_changes(store):
    running = claimed(store)
    old, new = a_job(), a_job()
    for job in (old, new):
        store.create(job)
    store.register_worker(WorkerInfo(name="w1", models=("m",), device="cpu", job_id=running.id, seen_at=0), ttl_s=10)

    queue_stats = store.queue_stats()
    assert queue_stats.jobs == {("dream", JobState.RUNNING): 1, ("dream", JobState.QUEUED): 2}
    assert queue_stats.waiting == {LITE0[0]: 2}
    assert (queue_stats.workers, queue_stats.busy_workers, queue_stats.served) == (1, 1, {"m"})

    store.finish(new.id, outcome(new, JobState.CANCELED))
    store.finish(running.id, outcome(running))
    store.forget(old.id)
    assert store.queue_stats().jobs == {("dream", JobState.SUCCEEDED): 1, ("dream", JobState.CANCELED): 1}
    assert store.queue_stats().oldest_queued_s == 0


def test_the_oldest_waiting_job_tells_how_long_jobs_wait(store, backend):
    now = time.time() if isinstance(backend, Real) else store.clock.now()
    for age_s in (500, 20):
        store.create(a_job(created_at=now - age_s))

    assert store.queue_stats().oldest_queued_s == pytest.approx(500, abs=5)


def test_only_waiting_jobs_past_their_deadline_are_overdue(store):
    late, running, early = a_job(deadline_at=1.0), a_job(deadline_at=1.0, priority="high"), a_job(deadline_at=4e9)
    for job in (late, running, early):
        store.create(job)
    store.claim("w", LITE0, lease_s=10)
    assert [job.id for job in store.overdue()] == [late.id]
    store.finish(late.id, outcome(late, JobState.FAILED))
    assert store.overdue() == []


def test_a_worker_says_what_it_could_fetch_and_how_far_it_is(store):
    fetch = WeightsFetch(model="large", fetched_bytes=5, total_bytes=10)
    worker = WorkerInfo(name="w", models=("m",), device="cpu", job_id=None, seen_at=0, fetchable=("large",))
    store.register_worker(replace(worker, fetches_on_demand=True, fetch=fetch), ttl_s=60)

    (found,) = store.workers()

    assert (found.models, found.fetchable, found.fetches_on_demand, found.fetch) == (("m",), ("large",), True, fetch)


@pytest.mark.service
def test_what_a_newer_worker_says_in_addition_is_passed_over(settings):
    store = RedisJobStore.connect(settings)
    worker = WorkerInfo(
        name="w", models=("m",), device="cpu", job_id=None, seen_at=0, fetch=WeightsFetch(model="large")
    )
    store.register_worker(worker, ttl_s=60)
    described = json.loads(store.redis.hget("dream:worker", "w"))
    described |= {"newer": 1, "fetch": described["fetch"] | {"newer": 2}}
    store.redis.hset("dream:worker", "w", json.dumps(described))

    assert [found.fetch for found in store.workers()] == [worker.fetch]


@pytest.mark.parametrize("change", [{"host": None}, {"ttl_s": "long"}, None])
def test_a_worker_that_cannot_be_read_hides_no_other(settings, change):
    store = RedisJobStore.connect(settings)
    for name in ("readable", "other"):
        info = WorkerInfo(name=name, models=("m",), device="cpu", job_id=None, seen_at=0)
        store.register_worker(info, ttl_s=60)
    described = json.loads(store.redis.hget("dream:worker", "other"))
    store.redis.hset("dream:worker", "other", json.dumps(change and described | change))

    assert [found.name for found in store.workers()] == ["readable"]


def test_each_request_to_fetch_weights_is_a_new_one(store):
    store.request_fetch("large", ttl_s=60)
    first = store.requested_fetches(["small", "large"])
    store.request_fetch("large", ttl_s=60)

    assert list(first) == ["large"]
    assert store.requested_fetches(["large"]) != first
    assert store.requested_fetches([]) == {}


def test_workers_are_those_who_beat_lately(store):
    def info(name):
        return WorkerInfo(name=name, models=("efficientnet-lite0",), device="cpu", job_id=None, seen_at=0)

    store.register_worker(info("alive"), ttl_s=60)
    store.register_worker(info("gone"), ttl_s=-1)
    (worker,) = store.workers()
    assert (worker.name, worker.models, worker.device) == ("alive", ("efficientnet-lite0",), "cpu")
    assert worker.seen_at > 1_700_000_000


def test_one_caretaker_leads_until_it_falls_silent(store):
    assert store.lead("a", ttl_s=60)
    assert not store.lead("b", ttl_s=60)
    assert store.lead("a", ttl_s=-1 if isinstance(store, MemoryJobStore) else 0.001)


def test_a_rebuild_that_saw_one_data_set_from_its_beginning_to_its_end_declares_it_complete(store, backend):
    # given
    assert store.generation() is None
    generation = store.end_rebuild(store.begin_rebuild())
    assert generation == store.generation() is not None

    # when it is compared again, then it stays the same
    assert store.end_rebuild(store.begin_rebuild()) == generation

    # when it is wiped during a rebuild, then it is not complete
    token = store.begin_rebuild()
    backend.wipe()
    assert store.end_rebuild(token) is None
    assert store.generation() is None


def test_places_in_a_queue_are_given_to_submissions_before_their_jobs_are_there(store):
    # given a queue with room for two, and one job in it
    store.create(a_job(owner="ann"))

    # when, then
    assert store.admit("ann", "first", limit=2, ttl_s=60)
    assert not store.admit("ann", "second", limit=2, ttl_s=60)
    assert store.admit("ann", "first", limit=2, ttl_s=60)  # asked again
    assert store.admit("bob", "his", limit=2, ttl_s=60)
    store.withdraw("ann", "first")
    assert store.admit("ann", "third", limit=2, ttl_s=60)


def test_a_created_job_takes_the_place_that_its_submission_held(store):
    job = a_job(owner="ann")
    assert store.admit("ann", job.id, limit=2, ttl_s=60)
    store.create(job)
    assert store.admit("ann", "next", limit=2, ttl_s=60)
    assert not store.admit("ann", "too many", limit=2, ttl_s=60)


def test_an_unreleased_stream_slot_is_free_again_after_a_while(store):
    assert store.admit("ann", "died", limit=1, ttl_s=-1)
    assert store.admit("ann", "next", limit=1, ttl_s=60)


def test_a_claim_that_was_never_acknowledged_lapses_without_a_death(store, backend):
    store.create(a_job())
    job = store.claim("w1", LITE0, lease_s=10)
    for _ in range(4):
        backend.expire_lease(job.id)
        reaped = store.expire_lease(job, max_deaths=3)
        assert (reaped.state, reaped.deaths) == (JobState.QUEUED, 0)
        job = store.claim("w1", LITE0, lease_s=10)


def test_a_job_that_its_host_could_not_bear_comes_back_with_a_death(store):
    assert store.release(claimed(store), died=True).deaths == 1


def test_a_cancel_of_an_earlier_retry_leaves_the_later_one_alone(store):
    job = claimed(store)
    store.finish(job.id, outcome(job, JobState.FAILED))
    store.retry(job.id, retry_count=1)
    store.claim("w", LITE0, lease_s=10)
    assert store.cancel(job.id, retry_count=0).state is JobState.RUNNING
    assert store.cancel(job.id, retry_count=1).state is JobState.CANCELING


@pytest.mark.parametrize(
    "state", [JobState.QUEUED, JobState.RUNNING, JobState.CANCELING, JobState.FAILED, JobState.CANCELED]
)
def test_an_outcome_of_a_later_retry_than_redis_knows_of_counts(store, state):
    # given a Redis that was rolled back behind a retry
    job = a_job()
    store.create(job)
    if state is not JobState.QUEUED:
        job = store.claim("w", LITE0, lease_s=10)
    if state is JobState.CANCELING:
        store.cancel(job.id, retry_count=0)
    if state in {JobState.FAILED, JobState.CANCELED}:
        store.finish(job.id, outcome(job, state))

    # when
    done = store.finish(job.id, outcome(replace(job, retry_count=2), claim="c"))

    # then
    assert (done.state, done.retry_count, done.claim) == (JobState.SUCCEEDED, 2, "c")
    assert store.waiting() == {}
    assert store.claim("w", LITE0, lease_s=10) is None


def test_a_retried_job_does_not_expire_for_the_retry_before(store):
    job = claimed(store)
    store.finish(job.id, outcome(job, JobState.FAILED))
    store.retry(job.id, retry_count=1)
    store.finish(job.id, outcome(replace(job, retry_count=1), claim="c"))
    assert store.expire(job.id, retry_count=0).state is JobState.SUCCEEDED


def test_many_jobs_are_read_at_once(store):
    jobs = [a_job() for _ in range(3)]
    for job in jobs:
        store.create(job)
    assert set(store.get_many([*(job.id for job in jobs), "unknown"])) == {job.id for job in jobs}


def test_a_redis_that_answers_passes_the_probe(store):
    store.probe()


def test_ended_jobs_expire(store):
    job = claimed(store)
    assert store.expire(job.id, retry_count=0).state is JobState.RUNNING
    store.finish(job.id, outcome(job, claim=job.claim))
    assert store.expire(job.id, retry_count=0).state is JobState.EXPIRED


def test_an_unreachable_redis_is_a_clear_retryable_error():
    store = RedisJobStore.connect(Settings(redis_url="redis://127.0.0.1:1/0"))
    with pytest.raises(StoreUnavailable) as caught:
        store.get("x")
    assert caught.value.retryable


def test_a_fit_redis_passes_the_check(store):
    store.check()


def test_an_outcome_tells_who_ended_the_job_also_after_redis_forgot_its_attempts(store):
    job = a_job()
    store.create(job)
    ended = Outcome(
        state=JobState.SUCCEEDED, finished_at=1_800_000_100.5, claim="c", attempt=3, started_at=1_800_000_050.5
    )
    known = store.finish(job.id, ended)
    assert (known.state, known.attempt, known.started_at) == (JobState.SUCCEEDED, 3, 1_800_000_050.5)


def test_an_attempt_of_the_epoch_before_does_not_take_a_retry(store, backend):
    # given an attempt that still runs when its job was failed, retried and, Redis being wiped, rebuilt
    stale = claimed(store)
    backend.wipe()
    store.create(replace(a_job(id=stale.id), retry_count=1))
    with pytest.raises(ClaimLost):
        store.renew(stale, lease_s=10)
    assert store.get(stale.id).state is JobState.QUEUED


def test_a_claim_whose_answer_was_lost_is_not_made_twice(settings, monkeypatch):
    store = RedisJobStore.connect(settings)
    for _ in range(2):
        store.create(a_job())
    monkeypatch.setattr("secrets.token_hex", lambda _: "theclaim")  # redis-py sends the very same command again
    first, again = (store.claim("w1", LITE0, lease_s=10) for _ in range(2))
    assert (first.id, first.attempt) == (again.id, again.attempt)
    assert dict(store.waiting()) == {LITE0[0]: 1}


def forget_the_turns_by_model(store: RedisJobStore) -> None:
    """As a Redis looks that an older version has written."""
    store.redis.delete(*store.redis.keys("dream:turns:*:*"))


def test_jobs_that_an_older_version_took_in_are_claimed_as_ever(settings):
    store = RedisJobStore.connect(settings)
    for owner in ("ann", "ann", "bob"):
        store.create(a_job(owner=owner))
    forget_the_turns_by_model(store)
    assert [store.claim("w", LITE0, lease_s=10).owner for _ in range(3)] == ["ann", "bob", "ann"]
    assert store.claim("w", LITE0, lease_s=10) is None


def test_beside_newer_ones_they_wait_for_the_caretakers_minute_at_most(settings):
    store = RedisJobStore.connect(settings)
    store.create(a_job(owner="ann"))
    forget_the_turns_by_model(store)
    store.create(a_job(owner="bob"))
    store.rebuild_turns()
    assert [store.claim("w", LITE0, lease_s=10).owner for _ in range(2)] == ["ann", "bob"]


def test_a_job_that_an_older_worker_claimed_blocks_no_other(settings):
    # given ann's job, claimed without a word to the turns by model
    store = RedisJobStore.connect(settings)
    for owner in ("ann", "bob"):
        store.create(a_job(owner=owner))
    turn = store.redis.zscore(f"dream:turns:normal:{LITE0[0]}", "ann")
    store.claim("w", LITE0, lease_s=10)
    store.redis.zadd(f"dream:turns:normal:{LITE0[0]}", {"ann": turn})

    assert store.claim("w", LITE0, lease_s=10).owner == "bob"
    assert store.claim("w", LITE0, lease_s=10) is None
    assert not store.redis.keys("dream:turns:*")


def test_a_restart_shows_in_the_generation(backend):
    assert isinstance(backend, Memory | Real)
    store = backend.store
    before = store.end_rebuild(store.begin_rebuild())
    if isinstance(backend, Memory):
        store.restarts += 1
        assert store.generation() != before
    else:
        assert before.endswith(store.redis.info("server")["run_id"])
