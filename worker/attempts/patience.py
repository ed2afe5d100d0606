"""Retries calls to Redis and S3 inside an attempt, as long as this host can be expected to reach them again."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from shared.clock import Clock
from shared.errors import StorageFull, StorageUnavailable, StoreUnavailable
from shared.settings import Settings
from worker.attempts.interrupts import StorageLost
from worker.attempts.lease import LeaseKeeper

log = structlog.get_logger(__name__)

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S, POLL_S = 0.5, 10.0, 0.1
LEASES_WITHOUT_STORAGE = 2  # lease periods without S3 after which the attempt gives up


class Patience:
    """Retries the calls of one attempt while a dependency is unavailable."""

    def __init__(self, *, lease: LeaseKeeper, clock: Clock, settings: Settings) -> None:
        self._lease = lease
        self._clock = clock
        self._settings = settings

    def run(self, action: Callable[[], T], *, also_when_full: bool = False) -> T:
        """Returns the action's result, and retries it with growing waits while Redis or S3 is unavailable.

        also_when_full: waits for free space in S3 whatever the settings say.
        Raises StorageLost after two lease periods without S3: the lease would otherwise be renewed forever, and another
        host may reach S3. Without Redis the job can't be handed back, so that wait has no limit. Raises StorageFull if
        the settings say so, and whatever `LeaseKeeper.move` raises.
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
            self._clock.sleep(POLL_S)
