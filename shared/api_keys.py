"""API keys: who may ask, and whose jobs they then see. Only hashes are kept, in S3, since they must survive Redis."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from shared.clock import Clock
from shared.errors import KeyNotFound, StorageUnavailable
from shared.interfaces import ObjectStorage
from shared.jobs import Document
from shared.s3 import object_keys

PREFIX = "dream"
OWNER = r"^[a-z0-9][a-z0-9._-]{0,62}$"  # it becomes part of names in Redis and S3
FRESH_S = 20.0  # a revoked key works for this long at most
STALE_S = 3600.0  # and a known one goes on working for this long while S3 is away
CACHED = 10_000


class ApiKey(Document):
    """`keys/{id}.json`."""

    id: str
    owner: str
    name: str = ""
    hash: str  # SHA-256 of the secret part, hexadecimal; the secret is 256 random bits, so nothing slower is needed
    created_at: float  # Unix time, seconds
    revoked_at: float | None = None


@dataclass(frozen=True)
class _Remembered:
    record: ApiKey
    at: float


class Keyring:
    """Makes, finds and revokes keys. Remembers what it found for some seconds. Safe to share between threads."""

    def __init__(self, storage: ObjectStorage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}
        self._unknown: dict[str, float] = {}  # apart, so that made-up ids drive out no real ones; since when
        self._secrets: dict[str, bytes] = {}
        self._lock = Lock()

    def create(self, owner: str, name: str = "") -> tuple[ApiKey, str]:
        """A new key's record, and the key itself, which is never seen again."""
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        record = ApiKey(id=key_id, owner=owner, name=name, hash=_hash(secret), created_at=self._clock.now())
        self._write(record)
        return record, f"{PREFIX}_{key_id}_{secret}"

    def all(self) -> Sequence[ApiKey]:
        """All that were ever made, oldest first."""
        names = [name for name in self._storage.keys("keys/") if name.endswith(".json")]
        found = [ApiKey.model_validate_json(text) for text in map(self._storage.get, names) if text]
        return sorted(found, key=lambda record: record.created_at)

    def revoke(self, key_id: str) -> ApiKey:
        """The record, revoked now or before. Raises KeyNotFound."""
        record = self._read(key_id) if _is_id(key_id) else None
        if record is None:
            raise KeyNotFound
        if record.revoked_at is None:
            record = record.model_copy(update={"revoked_at": self._clock.now()})
            self._write(record)
        return record

    def knows(self, key: str) -> bool:
        """Whether this key's record was found before: to ask about it costs the storage little."""
        return _parsed(key)[0] in self._remembered

    def find(self, key: str) -> ApiKey | None:
        """The record of a key that somebody has sent; None when it is unknown, wrong or revoked."""
        key_id, secret = _parsed(key)
        if key_id is None:
            return None
        record = self.by_id(key_id)
        # Compared even when there is none, so that the time taken tells nothing.
        matches = hmac.compare_digest(_hash(secret), record.hash if record else _hash(""))
        return record if record and matches else None

    def by_id(self, key_id: str) -> ApiKey | None:
        """The record, unless it is unknown or revoked."""
        now = self._clock.monotonic()
        known = self._remembered.get(key_id)
        record = known.record if known else None
        asked_at = known.at if known else self._unknown.get(key_id, -FRESH_S)
        if now - asked_at >= FRESH_S:
            try:
                record = self._read(key_id)
                self._remember(key_id, record)
            except StorageUnavailable:
                if known is None or now - known.at >= STALE_S:
                    raise
        return record if record and record.revoked_at is None else None

    def secret(self, name: str) -> bytes:
        """32 random bytes that all processes share; made by the first who asks."""
        if name not in self._secrets:
            self._storage.put(object_keys.secret(name), secrets.token_bytes(32), if_absent=True)
            found = self._storage.get(object_keys.secret(name))
            if not found:
                raise StorageUnavailable
            self._secrets[name] = found
        return self._secrets[name]

    def _read(self, key_id: str) -> ApiKey | None:
        text = self._storage.get(object_keys.key(key_id))
        return ApiKey.model_validate_json(text) if text else None

    def _write(self, record: ApiKey) -> None:
        self._storage.put(
            object_keys.key(record.id), record.model_dump_json().encode(), content_type="application/json"
        )
        self._remember(record.id, record)

    def _remember(self, key_id: str, record: ApiKey | None) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._unknown.pop(key_id, None)
            self._remembered.pop(key_id, None)
            for kept in (self._remembered, self._unknown):
                if len(kept) >= CACHED:
                    kept.clear()
            if record is None:
                self._unknown[key_id] = now
            else:
                self._remembered[key_id] = _Remembered(record, now)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _parsed(key: str) -> tuple[str | None, str]:
    """A key's id and its secret part; no id when it can't be one of ours."""
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    return (key_id, secret) if prefix == PREFIX and _is_id(key_id) else (None, secret)


def _is_id(text: str) -> bool:
    return len(text) == 16 and all(letter in "0123456789abcdef" for letter in text)
