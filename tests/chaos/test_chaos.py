"""A short storm over the real stack: no accepted job is lost, none is done twice."""

import os

from tests.chaos.run import weather

SEED = int(os.environ.get("SEED", "1"))


def test_every_accepted_job_ends_once_whatever_dies(tmp_path, redis_and_s3):
    table, complaints = weather(tmp_path / "home", jobs=12, seconds=30, seed=SEED)

    assert complaints == [], f"SEED={SEED} shows it again\n{table}"
