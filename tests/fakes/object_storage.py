"""Implements the ObjectStorage and Notifier interfaces in memory."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from shared.clock import Clock
from shared.errors import StorageFull, StorageUnavailable
from shared.interfaces import PresignedForm
from tests.fakes.clock import FakeClock


class MemoryObjectStorage:
    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.objects: dict[str, bytes] = {}
        self.written: dict[str, float] = {}
        self.available = True  # False: every call raises, as if S3 were unavailable
        self.full = False

    def put(self, key, body: bytes | BinaryIO, *, content_type="", if_absent=False) -> bool:
        self._reach()
        if self.full:
            raise StorageFull
        if if_absent and key in self.objects:
            return False
        self.objects[key] = body if isinstance(body, bytes) else body.read()
        self.written[key] = self.clock.now()
        return True

    def get(self, key: str) -> bytes | None:
        self._reach()
        return self.objects.get(key)

    def download(self, key: str, into: BinaryIO) -> bool:
        self._reach()
        if key in self.objects:
            into.write(self.objects[key])
        return key in self.objects

    def size(self, key: str) -> int | None:
        self._reach()
        return len(self.objects[key]) if key in self.objects else None

    def copy(self, source: str, target: str) -> bool:
        self._reach()
        if source in self.objects:
            self.objects[target] = self.objects[source]
            self.written[target] = self.clock.now()
        return source in self.objects

    def keys(self, prefix: str) -> Iterator[str]:
        self._reach()
        return iter(sorted(key for key in list(self.objects) if key.startswith(prefix)))

    def keys_before(self, prefix: str, at: float) -> Iterator[str]:
        return (key for key in self.keys(prefix) if self.written[key] < at)

    def folders(self, prefix: str) -> Iterator[str]:
        self._reach()
        rests = (key.removeprefix(prefix) for key in list(self.objects) if key.startswith(prefix))
        return iter(sorted({rest.split("/")[0] for rest in rests if "/" in rest}))

    def delete(self, keys: Iterable[str]) -> None:
        self._reach()
        for key in list(keys):
            self.objects.pop(key, None)

    def presigned_get(self, key: str, *, expires_s: int, filename: str | None = None) -> str:
        return f"memory://{key}?expires={expires_s}&filename={filename or ''}"

    def presigned_post(self, key: str, *, expires_s: int, max_bytes: int) -> PresignedForm:
        return PresignedForm(url="memory://", fields={"key": key, "expires": str(expires_s), "max": str(max_bytes)})

    def check(self) -> None:
        self._reach()

    def _reach(self) -> None:
        if not self.available:
            raise StorageUnavailable


class MemoryNotifier:
    def __init__(self) -> None:
        self.wake_ups = 0

    def notify_workers(self, times: int = 1) -> None:
        self.wake_ups += times

    def pending_wake_ups(self) -> int:
        return self.wake_ups
