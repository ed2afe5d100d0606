"""Slots for responses that hold a thread for a long time: event streams, and waiting for a job's end."""

from collections import Counter
from threading import Lock


class Slots:
    """Hands out slots, in all and per owner, so that one owner can't take all of them. Thread-safe."""

    def __init__(self, total: int, *, per_owner: int | None) -> None:
        """Sets the limits.   per_owner: None where all callers are the same owner."""
        self._total = total
        self._per_owner = total if per_owner is None else per_owner
        self._held: Counter[str] = Counter()
        self._lock = Lock()

    def acquire(self, owner: str) -> bool:
        """Takes a slot. Returns False if none is left for this owner."""
        with self._lock:
            if self._held.total() >= self._total or self._held[owner] >= self._per_owner:
                return False
            self._held[owner] += 1
            return True

    def release(self, owner: str) -> None:
        with self._lock:
            self._held[owner] -= 1
            if self._held[owner] <= 0:
                del self._held[owner]
