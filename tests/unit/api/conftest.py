"""Fixtures: the application on in-memory fakes."""

import io
import json
from dataclasses import dataclass, replace

import pytest
from structlog.testing import capture_logs

from api.app import create_app
from api.jobs.job_service import JobService
from api.jobs.submission_service import SubmissionService
from api.request_context import Services
from api.wiring import assemble
from shared.jobs.job import Job, JobState, Outcome
from shared.s3 import object_keys
from shared.s3.job_records import JobRecords
from shared.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.job_queries import MemoryJobQueries, RecordingJobStore, Script
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from tests.fakes.pictures import a_picture


@dataclass
class World:
    """The application's services on fakes, with methods that play the worker."""

    clock: FakeClock
    store: RecordingJobStore
    storage: MemoryObjectStorage
    notifier: MemoryNotifier
    subscriptions: Script
    services: Services

    @property
    def service(self) -> JobService:
        return self.services.jobs

    @property
    def records(self) -> JobRecords:
        return self.service.lifecycle.records

    @property
    def submissions(self) -> SubmissionService:
        return self.services.submissions

    def claim(self) -> Job:
        job = self.store.claim("worker-1", ["efficientnet-lite0"], lease_s=15)
        assert job is not None
        return job

    def end(self, job: Job, state: JobState, **outputs: bytes) -> Job:
        for name, body in outputs.items():
            self.storage.put(object_keys.output(job.id, job.claim or "", name.replace("_", ".")), body)
        self.service.lifecycle.settle(
            job.id,
            Outcome(
                retry_count=job.retry_count,
                state=state,
                finished_at=self.clock.now(),
                claim=job.claim,
                attempt=job.attempt,
            ),
        )
        ended = self.store.get(job.id)
        assert ended is not None
        return ended

    def edit(self, job: Job, **fields) -> Job:
        self.store.jobs[job.id] = replace(self.store.jobs[job.id], **fields)
        return self.store.jobs[job.id]


@pytest.fixture(autouse=True)
def log_events():
    """The log events of the test. Without a configuration, structlog would print them to stdout."""
    with capture_logs() as events:
        yield events


@pytest.fixture
def settings() -> Settings:
    """Test modules override this to change settings."""
    return Settings(max_upload_bytes=200_000, max_pixels=1_000_000)


@pytest.fixture
def world(settings) -> World:
    clock = FakeClock()
    store, storage, notifier = RecordingJobStore(clock), MemoryObjectStorage(clock), MemoryNotifier()
    subscriptions = Script(clock)
    services = assemble(
        settings,
        store=store,
        storage=storage,
        notifier=notifier,
        job_queries=MemoryJobQueries(store, clock),
        subscriptions=subscriptions,
        clock=clock,
    )
    return World(clock, store, storage, notifier, subscriptions, services)


@pytest.fixture
def app(settings, world):
    return create_app(settings, services=world.services)


@pytest.fixture
def http(app):
    return app.test_client()


@pytest.fixture
def submit(http):
    """Submits an image; keyword arguments replace fields of the form, None removes one."""

    def send(**fields):
        form = {"image": (io.BytesIO(a_picture()), "photo.jpg")} | fields
        if isinstance(form.get("params"), dict):
            form["params"] = json.dumps(form["params"])
        return http.post("/v1/jobs", data={name: value for name, value in form.items() if value is not None})

    return send
