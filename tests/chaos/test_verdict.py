"""The judge of the storm itself: a failed and retried job ended twice, once for each retry, and not too often."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from shared.jobs.job import Job, JobState
from shared.s3 import object_keys
from shared.settings import Settings
from tests.chaos.storm import left
from tests.chaos.verdict import Verdict, _orphans, _read_logs, examine
from tests.fakes import documents
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryObjectStorage

LONG_AGO = "01JGZQ8V5T6WX1M3N9K7C2B4DA"


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


@pytest.fixture
def storm(tmp_path):
    return SimpleNamespace(
        home=tmp_path,
        storage=MemoryObjectStorage(),
        store=MemoryJobStore(),
        stack=SimpleNamespace(settings=Settings()),
        crowd=SimpleNamespace(asked={}, broken=[]),
        observer=SimpleNamespace(furthest={}, broken=[]),
        broken=[],
    )


def test_what_the_faults_left_is_counted_before_housekeeping_removes_it(storm):
    for key in (object_keys.image(LONG_AGO), object_keys.mask(LONG_AGO)):
        storm.storage.put(key, b"of a submission that was never accepted")

    verdict = examine(storm, {})

    assert dict(verdict.left) == {"objects of submissions that were not accepted": 2}
    assert set(storm.storage.objects) == {object_keys.manifest(LONG_AGO)}  # void


def test_the_calm_waits_for_accepted_jobs_alone(storm):
    documents.pending(storm.storage, LONG_AGO, 0)
    assert left(storm.storage) == 0

    documents.accepted(storm.storage, a_manifest())
    assert left(storm.storage) == 1


def test_a_submission_that_was_given_up_is_lost_only_if_its_client_was_told_otherwise(storm):
    documents.given_up(storm.storage, LONG_AGO)
    assert examine(storm, {}).lost == []

    storm.crowd.asked[LONG_AGO] = {"seed": 1, "damaged": False}
    assert len(examine(storm, {}).lost) == 1


@pytest.mark.parametrize(
    ("state", "is_orphan"), [(JobState.SUCCEEDED, True), (JobState.CANCELED, False), (JobState.FAILED, False)]
)
def test_a_checkpoint_is_an_orphan_unless_its_job_may_be_resumed(state, is_orphan):
    job = replace(Job.from_manifest(a_manifest()), state=state)
    key = object_keys.checkpoints(job.id) + "00-0001-claim"
    assert list(_orphans([key], job)) == [key] * is_orphan
