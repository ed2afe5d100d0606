"""Implements the ObjectStorage and Notifier interfaces in memory."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from shared.clock import Clock
from shared.errors import StorageFull, StorageUnavailable, UnfitService
from shared.interfaces import PresignedForm, StoredPart
from tests.fakes.clock import FakeClock


class MemoryObjectStorage:
    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.objects: dict[str, bytes] = {}
        self.written: dict[str, float] = {}
        self.available = True  # False: every call raises, as if S3 were unavailable
        self.full = False
        self.begun: dict[tuple[str, str], dict[int, bytes]] = {}  # uploads by parts
        self.begun_at: dict[tuple[str, str], float] = {}
        self.has_parts = True  # False: a store without uploads by parts

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

    def read(self, key: str, at: int, size_bytes: int) -> bytes | None:
        self._reach()
        return self.objects[key][at : at + size_bytes] if key in self.objects else None

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

    def begin_parts(self, key: str) -> str:
        self._reach()
        if not self.has_parts:
            raise UnfitService("The object storage does not support CreateMultipartUpload.")
        upload = f"parts-{len(self.begun_at)}"
        self.begun[key, upload], self.begun_at[key, upload] = {}, self.clock.now()
        return upload

    def presigned_part(self, key: str, upload: str, number: int, *, size_bytes: int, expires_s: int) -> str:
        return f"memory://{key}?upload={upload}&part={number}&size={size_bytes}&expires={expires_s}"

    def put_part(self, url: str, body: bytes, *, lies: bool = False) -> None:
        """Plays a client that sends a part to its URL.   lies: of another size, to a store that does not mind."""
        key, upload, number, size, _ = re.fullmatch(
            r"memory://(.*)\?upload=(.*)&part=(.*)&size=(.*)&expires=(.*)", url
        ).groups()
        assert lies or len(body) == int(size)
        self.begun[key, upload][int(number)] = body

    def parts(self, key: str, upload: str) -> list[StoredPart] | None:
        self._reach()
        if (key, upload) not in self.begun:
            return None
        found = sorted(self.begun[key, upload].items())
        return [StoredPart(number=number, size_bytes=len(body), etag=str(hash(body))) for number, body in found]

    def complete_parts(self, key: str, upload: str, parts: Sequence[StoredPart]) -> bool:
        self._reach()
        bodies = self.begun.pop((key, upload), None)
        if bodies is not None:
            self.put(key, b"".join(bodies[part.number] for part in parts))
        return bodies is not None

    def abort_parts(self, key: str, upload: str) -> None:
        self._reach()
        self.begun.pop((key, upload), None)

    def unfinished(self, prefix: str, before: float) -> Iterator[tuple[str, str]]:
        self._reach()
        if not self.has_parts:
            raise UnfitService("The object storage does not support ListMultipartUploads.")
        return (begun for begun in list(self.begun) if begun[0].startswith(prefix) and self.begun_at[begun] < before)

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
