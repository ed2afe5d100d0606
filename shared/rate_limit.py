"""A rate limit, and how much of it is left."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """A number of requests per window of time."""

    name: str  # as in the RateLimit response fields
    client: str  # an owner, or an address where no key is needed
    requests: int
    window_s: int


@dataclass(frozen=True, kw_only=True)
class RateLimitUsage:
    """What is left of a rate limit."""

    rate_limit: RateLimit
    remaining: int
    resets_s: float
