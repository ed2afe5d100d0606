"""All the doctor's looks, and how they are told."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console

from shared.settings import Settings
from worker.doctor import machine_checks, redis_checks, storage_checks
from worker.doctor.finding import Finding

MARKS = {"good": ("ok", "green"), "doubtful": ("!!", "yellow"), "bad": ("XX", "red")}


def examine(settings: Settings) -> Iterator[Finding]:
    """One after the other, quick ones first."""
    yield from machine_checks.settings_known()
    yield from redis_checks.look(settings)
    yield from storage_checks.look(settings)
    yield from machine_checks.disk(settings)
    yield from machine_checks.gpu()
    yield from machine_checks.models(settings)


def tell(findings: Iterator[Finding], console: Console) -> list[Finding]:
    """Prints each as it comes; all of them."""
    told = []
    for finding in findings:
        told.append(finding)
        mark, style = MARKS[finding.state]
        console.print(f"{mark}  {finding.check:<22} {finding.found}", style=style if finding.state != "good" else None)
        if finding.advice:
            console.print(f"    {'':<22} -> {finding.advice}")
    bad, doubts = (sum(f.state == state for f in told) for state in ("bad", "doubtful"))
    console.print(f"\n{bad} to mend, {doubts} to look at, {len(told) - bad - doubts} good")
    return told


def as_json(findings: Sequence[Finding]) -> str:
    return json.dumps({"fit": fit(findings), "findings": [asdict(finding) for finding in findings]}, indent=2)


def fit(findings: Sequence[Finding]) -> bool:
    return all(finding.state != "bad" for finding in findings)
