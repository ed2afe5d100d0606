"""A worker's runner on fakes, with an engine that only brightens the picture."""

import io
import json
import threading
from contextlib import nullcontext

import numpy as np
from PIL import Image as Pillow

from shared.jobs.job import Job
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from shared.s3.job_records import JobRecords
from shared.settings import Settings
from tests.fakes import documents
from tests.fakes.clock import FakeClock
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from worker.dream.progress.observer import EngineProgress, ResumePoint
from worker.runner import Runner


class FakeReport:
    def __init__(self, warnings=()):
        self.warnings = warnings

    def with_warnings(self, warnings):
        return FakeReport(warnings)

    def to_json(self):
        return json.dumps({"params": {"octaves": 1}, "warnings": self.warnings}).encode()

    def recipe(self):
        return {"params": {"octaves": 1}}


class FakeDreamer:
    """Brightens the picture by one gray level an iteration; `during` is called in each, and may raise."""

    def __init__(self) -> None:
        self.during = lambda iteration: None
        self.resumed_from = None
        self.device = "fake"

    def models(self):
        return ("efficientnet-lite0",)

    def load(self, model):
        pass

    def share(self, job, params, guide):
        return nullcontext()

    def choose_tile_size(self, params, height, width):
        return 256

    def dream(self, image, params, *, inputs, keep_gradient, observer, resume, helpers=None):
        self.resumed_from = resume and (resume.octave, resume.iteration)
        first = resume.iteration if resume else 0
        image = resume.image if resume else image
        for iteration in range(first, params.iterations):
            self.during(iteration)
            done = (iteration + 1) * image.shape[0] * image.shape[1]
            observer.tile_done(
                EngineProgress(
                    octave=0,
                    octaves=1,
                    iteration=iteration,
                    iterations=params.iterations,
                    done_px=done,
                    total_px=params.iterations * image.shape[0] * image.shape[1],
                )
            )
            image += 1
            observer.iteration_done(
                ResumePoint(octave=0, iteration=iteration + 1, image=image, tile_size=params.tile_size)
            )
        return image, FakeReport()


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryJobStore(self.clock)
        self.storage = MemoryObjectStorage()
        self.notifier = MemoryNotifier()
        self.lifecycle = JobLifecycle(self.storage, self.store, self.notifier)
        self.dreamer = FakeDreamer()
        self.drain = threading.Event()
        self.deaths = 0

    def runner(self, **settings) -> Runner:
        return Runner(
            store=self.store,
            storage=self.storage,
            notifier=self.notifier,
            dreamer=self.dreamer,
            clock=self.clock,
            # An hour between the heartbeat thread's own beats: in these tests it beats when the work asks.
            settings=Settings(worker_name="w1", progress_interval_s=3600, **settings),
            drain=self.drain,
            die=self.die,
        )

    def die(self) -> None:
        self.deaths += 1

    def submit(self, content: bytes | None = None, **fields) -> Job:
        manifest = a_manifest(**fields)
        documents.accepted(self.storage, manifest, content or a_png())
        job = Job.from_manifest(manifest)
        self.store.create(job)
        return job

    def job(self, job_id: str) -> Job:
        return self.store.get(job_id)

    def outcome(self, job_id: str, retry_count: int = 0):
        return JobRecords(self.storage).outcome(job_id, retry_count)

    def pixels(self, job: Job) -> np.ndarray:
        result = self.storage.get(object_keys.output(job.id, job.claim, "result.png"))
        return np.asarray(Pillow.open(io.BytesIO(result)))


def a_png() -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (96, 80), (100, 110, 120)).save(file, "PNG")
    return file.getvalue()
