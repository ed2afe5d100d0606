"""Runs one chaos test, from the start of the stack to the verdict."""

from pathlib import Path

from tests.chaos.crowd import LARGE_SEED, SEEDS
from tests.chaos.storm import a_storm
from tests.chaos.verdict import examine, undisturbed


def run_chaos(home: Path, *, jobs: int, seconds: float, seed: int) -> tuple[str, list[str]]:
    """Returns the table of results and the violations, which should be empty."""
    with a_storm(home, seed=seed) as storm:
        references = undisturbed(storm, (*SEEDS, LARGE_SEED))
        storm.cause_faults(jobs, seconds)
        storm.calm()
        verdict = examine(storm, references)
    verdict.broken += [
        complaint for complaint in storm.broken if complaint not in verdict.broken
    ]  # found while the stack was stopped
    return verdict.table(storm), verdict.complaints
