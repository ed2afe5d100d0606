"""Sweeping what is old, on a real S3, whose clock tells the age."""

import time

from shared import layout
from shared.blobs import S3Blobs
from tests.twins.clock import FakeClock
from tests.twins.store import MemoryStore
from worker.housekeeping import Housekeeping


def test_uploads_go_after_a_day_and_idempotency_keys_after_seven(settings):
    # given
    blobs, clock = S3Blobs.connect(settings), FakeClock()
    clock.time = time.time()
    house = Housekeeping(store=MemoryStore(clock), blobs=blobs, clock=clock, settings=settings)
    for key in (layout.upload("ann", "u"), layout.idempotency("ann", "k"), layout.webhook("w")):
        blobs.put(key, b"x")

    def left_after(seconds):
        clock.time += seconds
        house.go_on(for_s=60)
        return [key.split("/")[0] for key in blobs.keys("")]

    # when, then
    assert left_after(0) == ["idempotency", "uploads", "webhooks"]
    assert left_after(layout.UPLOADS_KEPT_S + 60) == ["idempotency", "webhooks"]
    assert left_after(layout.IDEMPOTENCY_KEPT_S) == ["webhooks"]
