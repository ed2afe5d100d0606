"""How often somebody may ask, and how much of that is left."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """So many requests in a window of time."""

    name: str  # as the answer's RateLimit fields have it
    who: str  # an owner, or an address where nobody logs in
    requests: int
    window_s: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What is left of an allowance."""

    allowance: Allowance
    remaining: int
    resets_s: float
