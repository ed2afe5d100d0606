"""Bounds the bytes of images that one process holds on its temporary disk, in all and per owner."""

from collections import Counter
from threading import Lock

from shared.errors import TooManyUploads


class DiskBudget:
    """Counts the bytes of requests in progress, so that nobody's uploads fill the disk for all. Thread-safe."""

    def __init__(self, total_bytes: int, *, longest_upload: int, strips: bool = False) -> None:
        """Sets the limits: an owner may hold half of all, but always enough for one upload.

        strips: whether images are stored without their metadata.
        """
        self.form_copies = COPIES + strips
        self._total = total_bytes
        self._share = max(total_bytes // 2, min(total_bytes, longest_upload * self.form_copies))
        self._held: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def share_bytes(self) -> int:
        """The most that one owner may hold."""
        return self._share

    @property
    def held_bytes(self) -> int:
        return self._held.total()

    def take(self, owner: str, size_bytes: int) -> None:
        """Holds the bytes for the owner. Raises TooManyUploads."""
        with self._lock:
            if self._held.total() + size_bytes > self._total or self._held[owner] + size_bytes > self._share:
                raise TooManyUploads
            self._held[owner] += size_bytes

    def give_back(self, owner: str, size_bytes: int) -> None:
        with self._lock:
            self._held[owner] -= size_bytes
            if self._held[owner] <= 0:
                del self._held[owner]


COPIES = 2  # of an image: the body of its form and the file in it; of an upload: as it came and without its metadata


class Hold:
    """What one request holds of the budget. A context manager that gives everything back."""

    def __init__(self, budget: DiskBudget, owner: str) -> None:
        self._budget = budget
        self._owner = owner
        self._size = 0

    def grow_to(self, size_bytes: int) -> None:
        """Raises TooManyUploads."""
        if size_bytes > self._size:
            self._budget.take(self._owner, size_bytes - self._size)
            self._size = size_bytes

    def release(self) -> None:
        if self._size:
            self._budget.give_back(self._owner, self._size)
            self._size = 0

    def __enter__(self) -> "Hold":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
