"""Runs one simulation, from its seed to the violations."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from unittest import mock

import structlog

from shared.jobs.lifecycle import JobLifecycle
from shared.webhooks import delivery, dispatcher
from tests.simulation import threads
from tests.simulation.checks import violations
from tests.simulation.clients import Clients
from tests.simulation.weather import Weather
from tests.simulation.world import World
from worker.recovery import housekeeping, reconciliation

CHAOS_S = 900.0
WALK_EVERY_S, UNACCEPTED_S = 300.0, 600.0  # shorter than in the product, so that a run has several
WAITS_S = (5, 10, 20, 30, 30, 40, 40, 60, 60, 60)  # between attempts to deliver a webhook: as many as in the product
CALM_S = UNACCEPTED_S + 3 * WALK_EVERY_S
STUCK_S = 6000.0


@dataclass(frozen=True)
class Run:
    seed: int
    faults: Counter[str]
    broken: tuple[str, ...]
    digest: int  # of all events: the same seed gives the same digest
    jobs: int


def simulate(seed: int, listener: Callable[[str], None] | None = None) -> Run:
    world = World(seed, listener)
    references = _references()
    with _observed(world, listener):
        clients, weather = Clients(world), Weather(world)
        clients.begin(world.rng.randint(3, 8), CHAOS_S * 0.7)
        world.scheduler.spawn(weather.process, "weather", weather.run)
        world.scheduler.run(world.scheduler.now + CHAOS_S)
        weather.calm()
        world.faults.trace("--- calm")
        world.scheduler.run(world.scheduler.now + CALM_S)
        world.scheduler.run(world.scheduler.now + STUCK_S, done=lambda: _is_quiet(world))
        world.scheduler.run(world.scheduler.now + WALK_EVERY_S + 100)
        broken = tuple(dict.fromkeys(violations(world, references)))
        world.scheduler.close()
    return Run(seed, world.faults.counts, broken, world.faults.digest, len(world.witness.seed_of))


def _is_quiet(world: World) -> bool:
    return all(job.state.is_terminal for job in world.redis.jobs.values()) and not any(
        key.startswith(("pending/", "webhooks/")) for key in world.s3.objects
    )


@cache
def _references() -> dict[int, bytes]:
    """Returns each seed's undisturbed result."""
    from tests.simulation.reference import pictures  # noqa: PLC0415

    return pictures(range(1, 20))


@contextmanager
def _observed(world: World, listener: Callable[[str], None] | None) -> Iterator[None]:
    """Runs the product under the scheduler and reports to the witness the calls that no interface shows."""
    settle, queue_completed, checkpoint = JobLifecycle.settle, delivery.queue_completed, JobLifecycle.checkpoint
    accept, retry = JobLifecycle.accept, JobLifecycle.retry

    def settle_seen(self, job_id, outcome):
        world.witness.settles(job_id, outcome)
        return settle(self, job_id, outcome)

    def queue_completed_seen(storage, job_id, outcome):
        with world.witness.begins():
            return queue_completed(storage, job_id, outcome)

    def accept_seen(self, manifest, pictures):
        with world.witness.begins():
            return accept(self, manifest, pictures)

    def retry_seen(self, job, *, now):
        with world.witness.begins():
            return retry(self, job, now=now)

    def checkpoint_seen(self, job, key, file, superseded):
        with world.witness.stores_checkpoint(key):
            checkpoint(self, job, key, file, superseded)

    with ExitStack() as patches:
        for target, name, value in (
            (housekeeping, "WALK_EVERY_S", WALK_EVERY_S),
            (housekeeping, "UNACCEPTED_S", UNACCEPTED_S),
            (reconciliation, "UNACCEPTED_S", UNACCEPTED_S),
            (dispatcher, "WAITS_S", WAITS_S),
            (JobLifecycle, "accept", accept_seen),
            (JobLifecycle, "retry", retry_seen),
            (JobLifecycle, "checkpoint", checkpoint_seen),
            (JobLifecycle, "settle", settle_seen),
            (delivery, "queue_completed", queue_completed_seen),
        ):
            patches.enter_context(mock.patch.object(target, name, value))
        world.start(patches.enter_context(threads.under(world.scheduler, random.Random(world.rng.random()))))
        with _logged_to(world if listener else None):
            yield


@contextmanager
def _logged_to(world: World | None) -> Iterator[None]:
    def take(_, __, event: dict):
        if world is not None:
            world.faults.listener(f"    log {event}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, take], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
