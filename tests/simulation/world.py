"""Runs a deployment's processes in one simulated world: two of each kind, on one Redis and one S3."""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from api.jobs.disk_budget import DiskBudget
from api.jobs.job_service import JobService
from api.jobs.submission_service import SubmissionService
from shared.errors import DreamError
from shared.interfaces import WorkerInfo
from shared.settings import Settings
from shared.webhooks.dispatcher import WebhookDispatcher
from tests.fakes.job_queries import MemoryJobQueries
from tests.simulation.engine import SimDreamer
from tests.simulation.faults import Faults
from tests.simulation.links import receiver_link, redis_link, s3_link
from tests.simulation.scheduler import Process, Scheduler, SimClock, Task
from tests.simulation.stores import SimRedis, SimS3
from tests.simulation.threads import Threads
from tests.simulation.witness import Witness
from worker.recovery.caretaker import Caretaker
from worker.recovery.webhook_thread import ROUND_S
from worker.runner import Runner

NAMES = ("api-1", "api-2", "worker-1", "worker-2", "caretaker-1", "caretaker-2")
LEASE_S = 15.0
RESTART_S = 5.0
POLL_S = 300.0  # how often a worker checks for work without a wake-up


class World:
    def __init__(self, seed: int, listener: Callable[[str], None] | None = None) -> None:
        self.rng = random.Random(seed)
        self.scheduler = Scheduler(random.Random(self.rng.random()))
        self.faults = Faults(random.Random(self.rng.random()))
        self.faults.now = lambda: self.scheduler.now
        if listener:
            self.faults.listener = lambda event: listener(f"{self.scheduler.now - 1.8e9:9.2f} {event}")
        self.redis_host, self.s3_host = Process("redis"), Process("s3")
        self.redis = SimRedis(SimClock(self.scheduler, self.redis_host))
        self.redis.notified = lambda: self.scheduler.wake(self._idle)
        self.job_queries = MemoryJobQueries(self.redis, self.redis.clock)
        self.s3 = SimS3(SimClock(self.scheduler, self.s3_host))
        self.settings = Settings(
            lease_s=LEASE_S,
            progress_interval_s=4,
            caretaker_interval_s=8,
            reconcile_interval_s=40,
            checkpoint_interval_s=self.rng.choice((2, 20)),
            max_queued=self.rng.choice((3, 10_000)),
            retention_days=self.rng.choice((None, None, 400 / 86400)),
        )
        self.failures: Counter[int] = Counter()
        self.deadly: set[int] = set()  # seeds of jobs that kill each worker that runs them
        self.step_s = self.rng.choice((0.5, 4.0, 12.0))
        self.witness = Witness(self)
        self.processes: dict[str, Process] = {}
        self.intakes: dict[str, SubmissionService] = {}
        self.services: dict[str, JobService] = {}
        self.drains: dict[str, object] = {}
        self._idle: list[Task] = []

    def start(self, threads: Threads) -> None:
        self.threads = threads
        for name in NAMES:
            self.launch(name)
        self.scheduler.spawn(Process("supervisor"), "supervise", self._supervise)

    def _supervise(self) -> None:
        while True:
            self.scheduler.sleep(RESTART_S)
            self.revive()

    def launch(self, name: str) -> None:
        """Starts a new process of that name; the previous one is dead."""
        before = self.processes.get(name)
        process = self.processes[name] = Process(name)
        if before is not None:
            process.skew_s, process.disk_is_full = before.skew_s, before.disk_is_full
        kinds = {"api": self._api, "worker": self._worker, "caretaker": self._caretaker}
        kinds[name.split("-", maxsplit=1)[0]](process)

    def kill(self, name: str) -> None:
        self.processes[name].dead = True

    def revive(self) -> None:
        """Restarts dead processes."""
        for name, process in list(self.processes.items()):
            if process.dead:
                self.launch(name)

    # --- the tasks of a process ---

    def _links(self, process: Process):
        store = redis_link(self.scheduler, process, self.faults, self.redis, self.job_queries)
        return store, s3_link(self.scheduler, process, self.faults, self.s3), SimClock(self.scheduler, process)

    def _api(self, process: Process) -> None:
        store, storage, clock = self._links(process)
        common = {"store": store, "storage": storage, "notifier": store, "clock": clock}
        self.intakes[process.name] = SubmissionService(
            **common,
            max_pixels=10_000,
            max_work=10**12,
            max_bytes=1_000_000,
            disk=DiskBudget(100_000_000, longest_upload=1_000_000),
            max_queued=self.settings.max_queued,
            webhook_networks=("127.0.0.0/8",),
        )
        self.services[process.name] = JobService(**common, job_queries=store)

    def _worker(self, process: Process) -> None:
        store, storage, clock = self._links(process)
        drain = self.drains[process.name] = self.threads.Event()
        dreamer = SimDreamer(
            self.scheduler,
            self.failures,
            self.step_s,
            deadly=self.deadly,
            die=lambda: self.kill(process.name),
            resumed=lambda point: self.witness.resumed(process, point),
        )
        settings = self.settings.model_copy(update={"worker_name": process.name})
        runner = Runner(
            store=store,
            storage=storage,
            notifier=store,
            dreamer=dreamer,
            clock=clock,
            settings=settings,
            drain=drain,
            die=lambda: self.kill(process.name),
        )

        def work() -> None:
            while not drain.is_set():
                if not self.redis.wake_ups:
                    self.scheduler.wait(self._idle, POLL_S)
                    continue
                self.redis.wake_ups -= 1
                with suppress(DreamError):
                    runner.run_next()
            process.dead = True  # drained: it exits on its own

        def register() -> None:
            while not drain.is_set():
                info = WorkerInfo(
                    name=process.name, models=dreamer.models(), device="simulated", job_id=runner.job_id, seen_at=0
                )
                with suppress(DreamError):
                    store.register_worker(info, ttl_s=LEASE_S)
                drain.wait(LEASE_S / 3)

        self.scheduler.spawn(process, "work", work)
        self.scheduler.spawn(process, "register", register)

    def _caretaker(self, process: Process) -> None:
        store, storage, clock = self._links(process)
        caretaker = Caretaker(store=store, storage=storage, notifier=store, clock=clock, settings=self.settings)
        send = self.witness.counting_refusals(receiver_link(self.scheduler, process, self.faults, self.witness.receive))
        webhook_dispatcher = WebhookDispatcher(storage=storage, clock=clock, send=send, master=lambda: b"master")

        def run_round() -> None:
            while True:
                caretaker.run_round()
                clock.sleep(self.settings.caretaker_interval_s)

        def deliver() -> None:
            while True:
                clock.sleep(ROUND_S * 4)
                if caretaker.leads:
                    with suppress(DreamError):
                        webhook_dispatcher.deliver_due()

        self.scheduler.spawn(process, "caretaker", run_round)
        self.scheduler.spawn(process, "webhook_dispatcher", deliver)
