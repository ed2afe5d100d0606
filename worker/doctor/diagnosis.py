"""Runs all the doctor's checks and reports their findings."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console

from shared.settings import Settings
from worker.doctor import machine_checks, redis_checks, storage_checks
from worker.doctor.finding import Finding

MARKS = {"ok": ("ok", None), "warning": ("!!", "yellow"), "error": ("XX", "red")}


def examine(settings: Settings) -> Iterator[Finding]:
    """Runs the checks one after the other, quick ones first."""
    yield from machine_checks.check_variables()
    yield from redis_checks.check_redis(settings)
    yield from storage_checks.check_storage(settings)
    yield from machine_checks.check_disk(settings)
    yield from machine_checks.check_gpu()
    yield from machine_checks.check_models(settings)


def print_findings(findings: Iterator[Finding], console: Console) -> list[Finding]:
    """Prints each finding as it arrives, then a summary. Returns all of them."""
    printed = []
    for finding in findings:
        printed.append(finding)
        mark, style = MARKS[finding.severity]
        console.print(f"{mark}  {finding.check:<22} {finding.found}", style=style)
        if finding.advice:
            console.print(f"    {'':<22} -> {finding.advice}")
    errors, warnings = (sum(f.severity == severity for f in printed) for severity in ("error", "warning"))
    console.print(f"\n{errors} errors, {warnings} warnings, {len(printed) - errors - warnings} ok")
    return printed


def as_json(findings: Sequence[Finding]) -> str:
    return json.dumps({"ok": is_ok(findings), "findings": [asdict(finding) for finding in findings]}, indent=2)


def is_ok(findings: Sequence[Finding]) -> bool:
    """Returns whether no finding is an error."""
    return all(finding.severity != "error" for finding in findings)
