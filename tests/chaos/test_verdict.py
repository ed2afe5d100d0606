"""The judge of the storm itself: a failed and retried job ended twice, once for each retry, and not too often."""

import json
from types import SimpleNamespace

import pytest

from tests.chaos.verdict import Verdict, _read_logs
from tests.fakes.object_storage import MemoryObjectStorage


@pytest.fixture
def judged(tmp_path):
    (tmp_path / "logs").mkdir()

    def judge(*records):
        lines = [json.dumps({"event": "job_settled", "won": True, "job_id": "a", **record}) for record in records]
        (tmp_path / "logs" / "worker-1-001.log").write_text("\n".join(lines) + "\n")
        observer = SimpleNamespace(furthest={})
        storm = SimpleNamespace(home=tmp_path, storage=MemoryObjectStorage(), observer=observer, undisturbed_s=1.0)
        verdict = Verdict()
        _read_logs(storm, verdict)
        return verdict.doubled

    return judge


def test_a_job_that_failed_and_was_retried_did_not_end_twice(judged):
    assert judged({"retry_count": 0, "state": "failed"}, {"retry_count": 1, "state": "succeeded"}) == []


def test_a_retry_that_two_attempts_settled_is_doubled(judged):
    assert judged({"retry_count": 1}, {"retry_count": 1}) == ["a retry_count 1"]
