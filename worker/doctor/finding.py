"""What one look of the doctor found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

State = Literal["good", "doubtful", "bad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    check: str  # what was looked at, in a word or two
    state: State
    found: str  # a sentence
    advice: str | None = None  # what to do about it


Check: TypeAlias = Callable[[], Iterator[Finding]]


def good(check: str, found: str) -> Finding:
    return Finding(check=check, state="good", found=found)


def doubtful(check: str, found: str, advice: str) -> Finding:
    """It works, but not for long or not well."""
    return Finding(check=check, state="doubtful", found=found, advice=advice)


def bad(check: str, found: str, advice: str) -> Finding:
    """Nothing is dreamed, or jobs are in danger, until this is mended."""
    return Finding(check=check, state="bad", found=found, advice=advice)
