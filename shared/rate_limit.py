"""How often somebody may ask, and how much of that is left."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """So many requests in a window of time."""

    name: str  # as the answer's RateLimit fields have it
    who: str  # an owner, or an address where nobody logs in
    requests: int
    window_s: int


@dataclass(frozen=True, kw_only=True)
class RateLimitUsage:
    """What is left of an rate_limit."""

    rate_limit: RateLimit
    remaining: int
    resets_s: float
