"""Tests the sweeping of old objects on a real S3, whose clock gives their age."""

import time

from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from shared.s3.object_storage import S3ObjectStorage
from tests.fakes.clock import FakeClock
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier
from worker.recovery.housekeeping import Housekeeping


def test_uploads_go_after_a_day_and_idempotency_keys_after_seven(settings):
    # given
    storage, clock = S3ObjectStorage.connect(settings), FakeClock()
    clock.time = time.time()
    store = MemoryJobStore(clock)
    house = Housekeeping(
        lifecycle=JobLifecycle(storage, store, MemoryNotifier()),
        store=store,
        storage=storage,
        clock=clock,
        settings=settings,
    )
    for key in (object_keys.upload("ann", "u"), object_keys.idempotency("ann", "k"), object_keys.webhook("w")):
        storage.put(key, b"x")

    def left_after(seconds):
        clock.time += seconds
        house.go_on(for_s=60)
        return [key.split("/")[0] for key in storage.keys("")]

    unfinished = storage.begin_parts(object_keys.upload("ann", "parts"))

    # when, then
    assert left_after(0) == ["idempotency", "uploads", "webhooks"]
    assert storage.parts(object_keys.upload("ann", "parts"), unfinished) == []
    assert left_after(object_keys.UPLOADS_KEPT_S + 60) == ["idempotency", "webhooks"]
    assert storage.parts(object_keys.upload("ann", "parts"), unfinished) is None
    assert left_after(object_keys.IDEMPOTENCY_KEPT_S) == ["webhooks"]
