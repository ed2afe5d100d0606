"""Defines the result of one check of the doctor."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    check: str  # what was checked, in a word or two
    severity: Severity
    found: str  # a sentence
    advice: str | None = None  # what to do about it


def ok(check: str, found: str) -> Finding:
    return Finding(check=check, severity="ok", found=found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Reports something that works now, but slowly, partly or not for long."""
    return Finding(check=check, severity="warning", found=found, advice=advice)


def error(check: str, found: str, advice: str) -> Finding:
    """Reports something that stops jobs or puts them at risk."""
    return Finding(check=check, severity="error", found=found, advice=advice)
