"""The interface on in-memory twins."""

import io
import json
from dataclasses import dataclass, replace

import pytest

from api.app import assemble, create_app
from api.context import Services
from api.intake import Intake
from api.service import JobService
from shared import layout, ledger
from shared.jobs import Job, JobState, Outcome
from shared.settings import Settings
from tests.twins.blobs import MemoryBlobs, MemoryDoorbell
from tests.twins.clock import FakeClock
from tests.twins.feed import MemoryFeed, Script, WatchedStore
from tests.unit.api.pictures import a_picture


@dataclass
class World:
    """The service, what it stands on, and a worker's part played by hand."""

    clock: FakeClock
    store: WatchedStore
    blobs: MemoryBlobs
    doorbell: MemoryDoorbell
    changes: Script
    services: Services

    @property
    def service(self) -> JobService:
        return self.services.jobs

    @property
    def intake(self) -> Intake:
        return self.services.intake

    def claim(self) -> Job:
        job = self.store.claim("worker-1", ["efficientnet-lite0"], lease_s=15)
        assert job is not None
        return job

    def end(self, job: Job, state: JobState, **outputs: bytes) -> Job:
        for name, body in outputs.items():
            self.blobs.put(layout.output(job.id, job.claim or "", name.replace("_", ".")), body)
        ledger.settle(
            self.blobs,
            self.store,
            job.id,
            Outcome(epoch=job.epoch, state=state, finished_at=self.clock.now(), claim=job.claim, attempt=job.attempt),
        )
        ended = self.store.get(job.id)
        assert ended is not None
        return ended

    def edit(self, job: Job, **fields) -> Job:
        self.store.jobs[job.id] = replace(self.store.jobs[job.id], **fields)
        return self.store.jobs[job.id]


@pytest.fixture
def settings() -> Settings:
    """Tests that need others override this."""
    return Settings(max_upload_bytes=200_000, max_pixels=1_000_000)


@pytest.fixture
def world(settings) -> World:
    clock = FakeClock()
    store, blobs, doorbell = WatchedStore(clock), MemoryBlobs(clock), MemoryDoorbell()
    changes = Script(clock)
    services = assemble(
        settings,
        store=store,
        blobs=blobs,
        doorbell=doorbell,
        feed=MemoryFeed(store, clock),
        changes=changes,
        clock=clock,
    )
    return World(clock, store, blobs, doorbell, changes, services)


@pytest.fixture
def app(settings, world):
    return create_app(settings, services=world.services)


@pytest.fixture
def http(app):
    return app.test_client()


@pytest.fixture
def submit(http):
    """Submits a picture; what is given replaces the form's fields."""

    def send(**fields):
        form = {"image": (io.BytesIO(a_picture()), "photo.jpg")} | fields
        if isinstance(form.get("params"), dict):
            form["params"] = json.dumps(form["params"])
        return http.post("/v1/jobs", data={name: value for name, value in form.items() if value is not None})

    return send
