"""Measures what progress, previews and the checks for cancel and drain cost: the time spent in the worker's observer.

The real attempt, lease and settings, on in-memory versions of Redis and S3: both are only used by other threads.
"""

import io
import json
import threading
import time

import skimage.data
from PIL import Image

from shared.clock import SystemClock
from shared.jobs.job import InputImage, Job
from shared.params import DreamParams
from shared.s3 import object_keys
from shared.settings import Settings
from tests.fakes import documents
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from worker.attempts.attempt import Attempt
from worker.attempts.tensorflow_dreamer import TensorFlowDreamer
from worker.runner import Runner


def share(*, width, height):
    """Returns the observer's share of a dream's time, and the number of calls."""
    clock, storage, settings = SystemClock(), MemoryObjectStorage(), Settings(worker_name="bench")
    store, inside_s = MemoryJobStore(clock), []
    runner = Runner(
        store=store,
        storage=storage,
        notifier=MemoryNotifier(),
        dreamer=TensorFlowDreamer(settings),
        clock=clock,
        settings=settings,
        drain=threading.Event(),
        die=lambda: None,
    )
    photograph = io.BytesIO()
    Image.fromarray(skimage.data.coffee()).resize((width, height)).save(photograph, "PNG")
    about = InputImage(format="png", width=width, height=height, size_bytes=photograph.tell())
    manifest = a_manifest(params=DreamParams(), input=about, created_at=clock.now())
    documents.accepted(storage, manifest, photograph.getvalue())
    store.create(Job.from_manifest(manifest))
    watched = {name: getattr(Attempt, name) for name in ("tile_done", "iteration_done")}
    for name, method in watched.items():
        setattr(Attempt, name, _timed(method, inside_s))
    try:
        runner.run_next()
    finally:
        for name, method in watched.items():
            setattr(Attempt, name, method)
    done = store.get(manifest.id)
    report = json.loads(storage.get(object_keys.output(done.id, done.claim, "report.json")))
    return sum(inside_s) / report["timings"]["total_s"], len(inside_s)


def _timed(method, inside_s):
    def call(*args):
        began = time.perf_counter()
        try:
            return method(*args)
        finally:
            inside_s.append(time.perf_counter() - began)

    return call
