"""API keys and the owners they stand for. Only hashes are stored, in S3, because keys must survive a wiped Redis."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from shared.clock import Clock
from shared.errors import KeyNotFound, StorageUnavailable
from shared.interfaces import ObjectStorage
from shared.jobs.job import Document
from shared.s3 import object_keys

PREFIX = "dream"
OWNER = r"^[a-z0-9][a-z0-9._-]{0,62}$"  # becomes part of key names in Redis and S3
CACHE_S = 20.0  # longest time that a revoked key still works
STALE_CACHE_S = 3600.0  # how long a cached key works while S3 is unavailable
MAX_CACHED = 10_000


class ApiKey(Document):
    """`keys/{id}.json`."""

    id: str
    owner: str
    name: str = ""
    hash: str  # SHA-256 of the secret part, hexadecimal; the secret is 256 random bits, so nothing slower is needed
    created_at: float  # Unix time, seconds
    revoked_at: float | None = None


@dataclass(frozen=True)
class _CachedKey:
    record: ApiKey
    at: float  # monotonic clock, seconds


class Keyring:
    """Creates, finds and revokes keys, with a short-lived cache. Safe to share between threads."""

    def __init__(self, storage: ObjectStorage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._cached: dict[str, _CachedKey] = {}
        self._unknown: dict[str, float] = {}  # since when; kept apart so that made-up ids do not evict real ones
        self._secrets: dict[str, bytes] = {}
        self._lock = Lock()

    def create(self, owner: str, name: str = "") -> tuple[ApiKey, str]:
        """Returns a new key's record and the key itself, which is stored nowhere."""
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        record = ApiKey(id=key_id, owner=owner, name=name, hash=_hash(secret), created_at=self._clock.now())
        self._write(record)
        return record, f"{PREFIX}_{key_id}_{secret}"

    def all(self) -> Sequence[ApiKey]:
        """Returns every key ever created, oldest first."""
        names = [name for name in self._storage.keys("keys/") if name.endswith(".json")]
        found = [ApiKey.model_validate_json(text) for text in map(self._storage.get, names) if text]
        return sorted(found, key=lambda record: record.created_at)

    def revoke(self, key_id: str) -> ApiKey:
        """Revokes a key, unless it is revoked already, and returns its record. Raises KeyNotFound."""
        record = self._read(key_id) if _is_id(key_id) else None
        if record is None:
            raise KeyNotFound
        if record.revoked_at is None:
            record = record.model_copy(update={"revoked_at": self._clock.now()})
            self._write(record)
        return record

    def is_cached(self, key: str) -> bool:
        """Tells whether the key's record is cached, so that finding it costs the storage little."""
        return _parsed(key)[0] in self._cached

    def find(self, key: str) -> ApiKey | None:
        """Returns the record of a key as a client sent it; None when it is unknown, wrong or revoked."""
        key_id, secret = _parsed(key)
        if key_id is None:
            return None
        record = self.by_id(key_id)
        # Compare even without a record, so that timing reveals nothing.
        matches = hmac.compare_digest(_hash(secret), record.hash if record else _hash(""))
        return record if record and matches else None

    def by_id(self, key_id: str) -> ApiKey | None:
        """Returns the record of that key id; None when it is unknown or revoked."""
        now = self._clock.monotonic()
        cached = self._cached.get(key_id)
        record = cached.record if cached else None
        read_at = cached.at if cached else self._unknown.get(key_id, -CACHE_S)
        if now - read_at >= CACHE_S:
            try:
                record = self._read(key_id)
                self._cache(key_id, record)
            except StorageUnavailable:
                if cached is None or now - cached.at >= STALE_CACHE_S:
                    raise
        return record if record and record.revoked_at is None else None

    def secret(self, name: str) -> bytes:
        """Returns 32 random bytes that all processes share; the first caller creates them."""
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
        self._cache(record.id, record)

    def _cache(self, key_id: str, record: ApiKey | None) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._unknown.pop(key_id, None)
            self._cached.pop(key_id, None)
            for cache in (self._cached, self._unknown):
                if len(cache) >= MAX_CACHED:
                    cache.clear()
            if record is None:
                self._unknown[key_id] = now
            else:
                self._cached[key_id] = _CachedKey(record, now)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _parsed(key: str) -> tuple[str | None, str]:
    """Splits a key into its id and its secret part; the id is None when the text cannot be a key of this service."""
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    return (key_id, secret) if prefix == PREFIX and _is_id(key_id) else (None, secret)


def _is_id(text: str) -> bool:
    return len(text) == 16 and all(letter in "0123456789abcdef" for letter in text)
