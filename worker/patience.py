"""Waiting for Redis and S3 inside an attempt, as long as this host may be expected to see them again."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from shared.clock import Clock
from shared.errors import StorageFull, StorageUnavailable, StoreUnavailable
from shared.settings import Settings
from worker.interrupts import StorageLost
from worker.lease import LeaseKeeper

log = structlog.get_logger(__name__)

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S, LOOK_S = 0.5, 10.0, 0.1
LEASES_WITHOUT_STORAGE = 2


class Patience:
    def __init__(self, *, lease: LeaseKeeper, clock: Clock, settings: Settings) -> None:
        self._lease = lease
        self._clock = clock
        self._settings = settings

    def run(self, action: Callable[[], T], *, also_when_full: bool = False) -> T:
        """The action's answer, tried again with growing waits while Redis or S3 can't be reached.

        also_when_full: waits for room in S3 whatever the settings say.
        Raises StorageLost after two leases without S3: the lease would be renewed for ever, and another host may be
        better off. Without Redis there is nobody to give the job back to, so there is no limit.
        """
        wait_s = FIRST_WAIT_S
        lost_at: float | None = None
        while True:
            try:
                return action()
            except (StoreUnavailable, StorageUnavailable, StorageFull) as exc:
                if isinstance(exc, StorageFull) and not also_when_full and self._settings.storage_full == "fail":
                    raise
                now = self._clock.monotonic()
                lost_at = (lost_at or now) if isinstance(exc, StorageUnavailable) else None
                if lost_at is not None and now - lost_at >= LEASES_WITHOUT_STORAGE * self._settings.lease_s:
                    raise StorageLost(str(exc)) from exc
                log.warning("dependency_unavailable", reason=str(exc), wait_s=wait_s)
            self._pause(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _pause(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until:
            self._lease.move()
            self._clock.sleep(LOOK_S)
