"""Simulates a process's connections to Redis, S3 and receivers, where every call takes time and may fail.

A call is sent, takes effect, and returns a response. It may fail before its effect or after it (the response is lost);
take effect late, after the caller gave up, or twice, as when a client library repeats it; hang; or its process may die
or freeze while the request or the response is in transit.
"""

import io
import secrets
from collections.abc import Callable, Iterable, Iterator

from shared.errors import DreamError, LocalDiskError, StorageUnavailable, StoreUnavailable
from shared.webhooks.outbound import Undeliverable
from tests.simulation.faults import Faults
from tests.simulation.scheduler import Killed, Process, Scheduler

PAGE_KEYS, DELETE_BATCH = 4, 3
HANGS_S = 20.0  # two attempts of ten seconds


class Link:
    """Connects one process to one service."""

    def __init__(
        self, scheduler: Scheduler, process: Process, faults: Faults, service: str, error: type[DreamError]
    ) -> None:
        self.scheduler, self.process, self.faults = scheduler, process, faults
        self.service, self._error = service, error

    def call(self, what: str, effect: Callable[[], object], *, decides: bool = False) -> object:
        """Returns the service's response, or raises its error, unless a fault occurs.

        decides: the call is a conditional write.
        """
        scheduler, process = self.scheduler, self.process
        fault = self.faults.of_call(self.service, process, decides=decides)
        label = f"{process.name}/{scheduler.current.name} {self.service}.{what} {fault or ''}"
        at_end = decides and self.faults.rng.random() < 0.5
        self._travel(slow=fault == "slow")
        self._die_if_due(label, decides=decides and not at_end)
        if fault in {"before", "cut off"}:
            self.faults.trace(f"{label} x")
            raise self._error
        if fault == "hang before":
            scheduler.sleep(HANGS_S)
            raise self._error
        if fault == "late":
            self._repeat_later(what, effect)
            raise self._error
        result, error = _respond(effect)
        if fault == "twice":
            result, error = _respond(effect)
        if fault == "twice, once late":
            self._repeat_later(what, effect)
        self.faults.trace(f"{label} {_brief(result)} {error or ''}")
        self._die_if_due(label, decides=decides and at_end)
        self._travel(slow=fault == "slow")
        if fault == "hang after":
            scheduler.sleep(HANGS_S)
        if fault in {"after", "hang after", "answers lost"}:
            raise self._error
        if error is not None:
            raise error
        return result

    def _repeat_later(self, what: str, effect: Callable[[], object]) -> None:
        began = self.scheduler.current.began
        late = self.scheduler.spawn(LATER, f"late {what}", lambda: _shielded(effect), after_s=self.faults.late_s())
        late.began = began

    def _travel(self, *, slow: bool) -> None:
        self.scheduler.sleep(self.faults.latency_s(slow=slow))

    def _die_if_due(self, label: str, *, decides: bool) -> None:
        if decides and (fault := self.process.at_decision):
            self.process.at_decision = None
            self.faults.trace(f"{self.process.name} is hit in {label}")
            fault(self.process)
            self.scheduler.sleep(0)
        if self.process.calls_left is None:
            return
        self.process.calls_left -= 1
        if self.process.calls_left <= 0:
            self.process.dead = True
            self.faults.trace(f"{self.process.name} dies in {label}")
            raise Killed


LATER = Process("the network")  # runs calls that arrive after their sender gave up


def _respond(effect: Callable[[], object]) -> tuple[object, Exception | None]:
    try:
        return effect(), None
    except DreamError as exc:
        return None, exc


def _shielded(effect: Callable[[], object]) -> None:
    _respond(effect)


def _brief(result: object) -> str:
    state = getattr(result, "state", None)
    return str(state) if state else (f"{len(result)} bytes" if isinstance(result, bytes) else repr(result)[:60])


class RedisLink:
    """Implements JobStore, JobQueries and Notifier over a link."""

    def __init__(self, link: Link, redis, job_queries) -> None:
        self._link, self._redis, self._job_queries = link, redis, job_queries

    def claim(self, worker: str, models, *, lease_s: float, max_running: int):
        claim = secrets.token_hex(8)
        job = self._link.call(
            "claim", lambda: self._redis.claim_as(claim, worker, models, lease_s=lease_s, max_running=max_running)
        )
        if job is not None:
            self._redis.claim_arrived(job)
        return job

    def notify_workers(self, times: int = 1) -> None:
        def push() -> None:
            self._redis.wake_ups += times
            self._redis.notified()

        self._link.call("notify", push)

    def pending_wake_ups(self) -> int:
        return self._link.call("pending", lambda: self._redis.wake_ups)

    def __getattr__(self, name: str):
        target = (
            self._job_queries if hasattr(self._job_queries, name) and not hasattr(self._redis, name) else self._redis
        )
        method = getattr(target, name)

        def call(*args, **options):
            return self._link.call(f"{name} {_first(args)}", lambda: method(*args, **options))

        return call


def _first(args: tuple) -> str:
    return str(getattr(args[0], "id", args[0])) if args else ""


class S3Link:
    """Implements ObjectStorage over a link: lists in pages and deletes in batches."""

    def __init__(self, link: Link, s3) -> None:
        self._link, self._s3 = link, s3

    def put(self, key: str, body, *, content_type: str = "", if_absent: bool = False) -> bool:
        content = body if isinstance(body, bytes) else _rest(body)
        return self._call(f"put {key}", lambda: self._s3.put(key, content, if_absent=if_absent), decides=if_absent)

    def get(self, key: str) -> bytes | None:
        return self._call(f"get {key}", lambda: self._s3.get(key))

    def download(self, key: str, into) -> bool:
        content = self.get(key)
        if content is not None:
            _write(into, content)
        return content is not None

    def read(self, key: str, at: int, size_bytes: int) -> bytes | None:
        return self._call(f"read {key}", lambda: self._s3.read(key, at, size_bytes))

    def size(self, key: str) -> int | None:
        return self._call(f"size {key}", lambda: self._s3.size(key))

    def copy(self, source: str, target: str) -> bool:
        return self._call(f"copy {target}", lambda: self._s3.copy(source, target))

    def keys(self, prefix: str) -> Iterator[str]:
        return self._pages(prefix, lambda key: True)

    def keys_before(self, prefix: str, at: float) -> Iterator[str]:
        return self._pages(prefix, lambda key: self._s3.written.get(key, at) < at)

    def _pages(self, prefix: str, fits: Callable[[str], bool]) -> Iterator[str]:
        after = ""
        while True:
            page = self._call(f"list {prefix}", lambda after=after: self._s3.page(prefix, after, PAGE_KEYS))
            yield from (key for key in page if fits(key))
            if len(page) < PAGE_KEYS:
                return
            after = page[-1]

    def delete(self, keys: Iterable[str]) -> None:
        batch: list[str] = []
        for key in keys:
            batch.append(key)
            if len(batch) == DELETE_BATCH:
                self._delete(batch)
                batch = []
        if batch:
            self._delete(batch)

    def _delete(self, batch: list[str]) -> None:
        self._call(f"delete {' '.join(batch)}", lambda: self._s3.delete(list(batch)))

    def unfinished(self, prefix: str, before: float) -> Iterator[tuple[str, str]]:
        return iter(self._call(f"list unfinished {prefix}", lambda: list(self._s3.unfinished(prefix, before))))

    def abort_parts(self, key: str, upload: str) -> None:
        self._call(f"abort {key}", lambda: self._s3.abort_parts(key, upload))

    def presigned_post(self, key: str, *, expires_s: int, max_bytes: int):
        return self._s3.presigned_post(key, expires_s=expires_s, max_bytes=max_bytes)

    def _call(self, what: str, effect: Callable[[], object], *, decides: bool = False):
        return self._link.call(what, effect, decides=decides)


def _write(into, content: bytes) -> None:
    try:
        into.write(content)
    except OSError as exc:
        raise LocalDiskError from exc


def _rest(body) -> bytes:
    content = io.BytesIO()
    while piece := body.read(1 << 20):
        content.write(piece)
    return content.getvalue()


def redis_link(scheduler: Scheduler, process: Process, faults: Faults, redis, job_queries) -> RedisLink:
    return RedisLink(Link(scheduler, process, faults, "redis", StoreUnavailable), redis, job_queries)


def s3_link(scheduler: Scheduler, process: Process, faults: Faults, s3) -> S3Link:
    return S3Link(Link(scheduler, process, faults, "s3", StorageUnavailable), s3)


def receiver_link(scheduler: Scheduler, process: Process, faults: Faults, receive) -> Callable[..., int]:
    link = Link(scheduler, process, faults, "receiver", Undeliverable)
    return lambda url, body, headers: link.call(f"post {headers['webhook-id']}", lambda: receive(body, headers))
