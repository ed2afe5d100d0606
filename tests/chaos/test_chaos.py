"""Checks on a real stack, with a few faults, that no accepted job is lost and none ends twice."""

import os

from tests.chaos.run import run_chaos

SEED = int(os.environ.get("SEED", "1"))


def test_every_accepted_job_ends_once_whatever_dies(tmp_path, redis_and_s3):
    table, complaints = run_chaos(tmp_path / "home", jobs=12, seconds=30, seed=SEED)

    assert complaints == [], f"Repeat with SEED={SEED}.\n{table}"
