"""Those who come without a valid key: counted by address, in each process, so that a flood costs nobody anything."""

import ipaddress
from threading import Lock

from shared.clock import Clock
from shared.errors import TooManyRequests
from shared.rate_limit import RateLimit, RateLimitUsage

WINDOW_S = 60
ADDRESSES = 100_000  # counted at once; where there are more, counting starts anew


class UnauthenticatedLimit:
    """Safe to share between threads."""

    def __init__(self, clock: Clock, *, per_minute: int) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._window = 0
        self._failures: dict[str, int] = {}
        self._lock = Lock()

    def refuse(self, address: str) -> None:
        """Raises TooManyRequests where too many came from that address within this minute."""
        if self._add(address, 0) >= self._per_minute:
            raise self._too_many(address)

    def count(self, address: str) -> None:
        """One more failed there. Raises TooManyRequests where that was one too many."""
        if self._add(address, 1) > self._per_minute:
            raise self._too_many(address)

    def _add(self, address: str, failures: int) -> int:
        window = int(self._clock.now() // WINDOW_S)
        neighborhood = _neighborhood(address)
        with self._lock:
            if window != self._window or len(self._failures) >= ADDRESSES:
                self._window, self._failures = window, {}
            total = self._failures.get(neighborhood, 0) + failures
            if failures:
                self._failures[neighborhood] = total
        return total

    def _too_many(self, address: str) -> TooManyRequests:
        rate_limit = RateLimit(name="unauthenticated", client=address, requests=self._per_minute, window_s=WINDOW_S)
        return TooManyRequests(
            usage=RateLimitUsage(rate_limit=rate_limit, remaining=0, resets_s=WINDOW_S - self._clock.now() % WINDOW_S)
        )


def _neighborhood(address: str) -> str:
    """An IPv6 host has 2^64 addresses to choose from: they count as one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
