"""In-memory, per-process rate limit for unauthenticated clients, by IP address."""

import ipaddress
from collections import OrderedDict
from threading import Lock

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from shared.clock import Clock
from shared.errors import TooManyRequests
from shared.rate_limit import RateLimit, RateLimitUsage

WINDOW_S = 60
MAX_NETWORKS = 100_000  # about 24 MB


class UnauthenticatedLimit:
    """Counts failed authentications per network, without Redis or S3, so that a flood stays cheap. Thread-safe."""

    def __init__(self, clock: Clock, *, per_minute: int, max_networks: int = MAX_NETWORKS) -> None:
        self._clock = clock
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(BoundedMemoryStorage(clock, max_keys=max_networks))

    def check(self, address: str) -> None:
        """Raises TooManyRequests if the address has used up its failures of this minute."""
        if not self._limiter.test(self._limit, _network(address)):
            raise self._too_many_requests(address)

    def count_failure(self, address: str) -> None:
        """Counts a failure. Raises TooManyRequests if it exceeds the limit."""
        if not self._limiter.hit(self._limit, _network(address)):
            raise self._too_many_requests(address)

    def _too_many_requests(self, address: str) -> TooManyRequests:
        resets_at = self._limiter.get_window_stats(self._limit, _network(address)).reset_time
        rate_limit = RateLimit(name="unauthenticated", client=address, requests=self._limit.amount, window_s=WINDOW_S)
        resets_s = max(0.0, resets_at - self._clock.now())
        return TooManyRequests(usage=RateLimitUsage(rate_limit=rate_limit, remaining=0, resets_s=resets_s))


class BoundedMemoryStorage(Storage):
    """A storage for `limits` that holds at most `max_keys` counters and evicts the oldest one first.

    `limits.storage.MemoryStorage` is unbounded, and while requests arrive its thread scans all counters every 10 ms.
    """

    STORAGE_SCHEME = None  # not available by URI

    def __init__(self, clock: Clock, *, max_keys: int) -> None:
        super().__init__()
        self._clock = clock
        self._max_keys = max_keys
        self._counters: OrderedDict[str, tuple[int, float]] = OrderedDict()  # count and expiry, the oldest one first
        self._lock = Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Adds to the counter and returns it. The first call starts a window of `expiry` seconds."""
        with self._lock:
            count, expires_at = self._live(key) or (0, self._clock.now() + expiry)
            if count == 0 and len(self._counters) >= self._max_keys:
                self._counters.popitem(last=False)
            self._counters[key] = count + amount, expires_at
            return count + amount

    def get(self, key: str) -> int:
        with self._lock:
            return (self._live(key) or (0, 0.0))[0]

    def get_expiry(self, key: str) -> float:
        """Returns the Unix time at which the counter expires."""
        with self._lock:
            return (self._live(key) or (0, self._clock.now()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        with self._lock:
            count = len(self._counters)
            self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        with self._lock:
            self._counters.pop(key, None)

    def _live(self, key: str) -> tuple[int, float] | None:
        counter = self._counters.get(key)
        if counter is not None and counter[1] <= self._clock.now():
            del self._counters[key]
            return None
        return counter


def _network(address: str) -> str:
    """Returns the address, or an IPv6 address's /64 network: one host can use all 2^64 addresses of it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket has no address
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
