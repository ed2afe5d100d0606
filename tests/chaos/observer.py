"""Polls Redis and checks that no job's state or progress goes backward."""

import threading
from contextlib import suppress

from shared.errors import DreamError
from shared.jobs.job import Job
from shared.redis.job_store import RedisJobStore

POLL_S = 0.1


class Observer:
    def __init__(self, store: RedisJobStore) -> None:
        self._store = store
        self._seen: dict[str, Job] = {}
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.broken: list[str] = []
        self.furthest: dict[tuple[str, int], float] = {}  # (job id, attempt) -> largest fraction seen

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def forgive(self) -> None:
        """Allows jobs to go backward once, because Redis was wiped or lost its last second.

        Call it right after the fault.
        """
        with self._lock:
            self._seen.clear()

    def _watch(self) -> None:
        while not self._ended.wait(POLL_S):
            with self._lock, suppress(DreamError):
                for job in self._store.list_jobs("local", limit=1000):
                    self._compare(self._seen.get(job.id), job)
                    self._seen[job.id] = job
                    key = (job.id, job.attempt)
                    self.furthest[key] = max(self.furthest.get(key, 0.0), job.progress.fraction)

    def _compare(self, before: Job | None, now: Job) -> None:
        if before is None or before.retry_count != now.retry_count:
            return
        if before.state.is_terminal and now.state is not before.state:
            self.broken.append(f"{now.id} went from {before.state} to {now.state}")
        if now.progress.fraction < before.progress.fraction:
            self.broken.append(f"{now.id}: progress went from {before.progress.fraction} to {now.progress.fraction}")
