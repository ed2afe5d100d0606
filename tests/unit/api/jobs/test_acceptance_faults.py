"""Submissions that overtake each other, lose their answers, or meet a full disk."""

import errno
import io
from dataclasses import replace

import pytest

from api.jobs.submission import Sent, Submission
from api.jobs.submission_service import SubmissionService
from api.schemas.requests import JobOptions
from shared.errors import StorageUnavailable, TooManyQueued
from shared.jobs.job import JobState
from shared.params import DreamParams
from shared.s3 import object_keys
from tests.fakes.pictures import a_picture


@pytest.fixture
def send(world):
    def submit(key=None, owner="ann"):
        submission = Submission(options=JobOptions(), params=DreamParams(), image=Sent(io.BytesIO(a_picture())))
        return world.submissions.submit(owner, submission, key=key)

    return submit


def before_first(world, part, action):
    """Lets something happen right before the first write of a key that contains that text."""
    put = world.storage.put

    def later(key, body, **options):
        if part in key:
            world.storage.put = put
            action()
        return put(key, body, **options)

    world.storage.put = later


@pytest.mark.parametrize("ends", ["accepted late", "failed"])
def test_a_slow_submission_does_not_take_its_repetitions_job_away(world, send, ends):
    # given a submission that is held up for 61 s, until its repetition is accepted
    accepted = []

    def repeat():
        world.clock.sleep(61)
        accepted.append(send("k").job.id)
        if ends == "failed":
            raise StorageUnavailable

    before_first(world, "manifest.json", repeat)

    # when it goes on, or fails and is swept
    if ends == "failed":
        with pytest.raises(StorageUnavailable):
            send("k")
    else:
        answer = send("k")
        assert (answer.job.id, answer.replayed) == (accepted[0], True)

    # then there is one job, whatever Redis loses, and every further repetition is answered with it
    world.store.wipe()
    assert world.service.get("ann", accepted[0]).state is JobState.QUEUED
    assert send("k").job.id == accepted[0]
    assert [key for key in world.storage.objects if key.endswith("/input")] == [object_keys.image(accepted[0])]


def test_a_reservation_whose_own_repetition_was_refused_is_recognized(world, send):
    # given a client library that repeats an unanswered conditional write and gets 412 for it
    put = world.storage.put

    def repeated(key, body, **options):
        written = put(key, body, **options)
        return False if options.get("if_absent") and key.startswith(object_keys.IDEMPOTENCY) else written

    world.storage.put = repeated

    # when, then
    answer = send("k")
    assert (answer.replayed, world.store.get(answer.job.id).state) == (False, JobState.QUEUED)


def test_an_acceptance_whose_own_repetition_was_refused_is_recognized(world, send):
    put = world.storage.put

    def repeated(key, body, **options):
        written = put(key, body, **options)
        return False if key.endswith("manifest.json") else written

    world.storage.put = repeated
    accepted = send("k").job
    assert accepted.state is JobState.QUEUED
    assert set(world.storage.folders(object_keys.JOBS)) == {accepted.id}
    assert object_keys.image(accepted.id) in world.storage.objects


def test_parallel_submissions_do_not_exceed_the_limit_of_waiting_jobs(world):
    # given six submissions, each of which begins before the one before it is accepted
    limited = replace(world.submissions, max_queued=2)
    begun, refused = [], []

    def begin_another():
        if len(begun) == 6:
            return
        begun.append(1)
        before_first(world, "pending/", begin_another)
        submission = Submission(options=JobOptions(), params=DreamParams(), image=Sent(io.BytesIO(a_picture())))
        try:
            limited.submit("ann", submission)
        except TooManyQueued:
            refused.append(1)
            begin_another()

    # when
    begin_another()

    # then
    assert (len(world.store.jobs), len(refused)) == (2, 4)


def test_a_full_disk_is_a_503(http, submit, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SubmissionService, "submit", full)
    answer = submit()
    assert (answer.status_code, answer.json["code"]) == (503, "local_disk_error")
