"""One storm from its first cloud to the verdict."""

from pathlib import Path

from tests.chaos.crowd import SEEDS
from tests.chaos.storm import a_storm
from tests.chaos.verdict import judge, undisturbed


def weather(home: Path, *, jobs: int, seconds: float, seed: int) -> tuple[str, list[str]]:
    """The table, and what was promised and not kept; empty is good."""
    with a_storm(home, seed=seed) as storm:
        references = undisturbed(storm, SEEDS)
        storm.rage(jobs, seconds)
        storm.calm()
        verdict = judge(storm, references)
    verdict.broken += [complaint for complaint in storm.broken if complaint not in verdict.broken]  # of the end
    return verdict.table(storm), verdict.complaints
