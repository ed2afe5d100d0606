"""Tests a worker's metrics, the server of metrics and readiness, and the liveness file."""

import threading
from dataclasses import replace

import httpx
import pytest
from prometheus_client import REGISTRY

from deploy.local.embedded_services import StackState
from shared.jobs.job import JobState
from shared.settings import Settings
from tests.fakes.job_factory import a_job
from tests.waiting import wait_until
from worker.dream.progress.observer import EngineProgress
from worker.monitoring import liveness_file, metrics_server, worker_metrics


def grown(name, **labels):
    """Returns a function that returns how much the metric has grown since."""
    before = REGISTRY.get_sample_value(name, labels) or 0
    return lambda: (REGISTRY.get_sample_value(name, labels) or 0) - before


def mark(octave, done_px):
    return EngineProgress(octave=octave, octaves=2, iteration=0, iterations=2, done_px=done_px, total_px=1000)


def test_pixel_steps_and_octaves_are_measured_from_where_a_resumed_dream_begins():
    pixels, octaves, seconds = (
        grown(name) for name in ("dream_pixel_steps_total", "dream_octave_seconds_count", "dream_octave_seconds_sum")
    )
    pace = worker_metrics.Pace()

    pace.update(mark(0, 600), now=10)  # resumed: 600 were done by another
    pace.update(mark(0, 800), now=14)
    pace.octave_done(now=15)
    pace.update(mark(1, 1000), now=16)
    pace.octave_done(now=18)

    assert (pixels(), octaves(), seconds()) == (400, 2, 7)


def test_only_the_first_claim_records_the_waiting_time():
    waits, seconds = grown("dream_queue_wait_seconds_count"), grown("dream_queue_wait_seconds_sum")
    job = replace(a_job(), state=JobState.RUNNING)

    worker_metrics.claimed(replace(job, attempt=1, started_at=job.created_at + 3))
    worker_metrics.claimed(replace(job, attempt=2, started_at=job.created_at + 3))

    assert (waits(), seconds()) == (1, pytest.approx(3))


@pytest.fixture
def port():
    return StackState().port("metrics")


def test_the_server_answers_with_metrics_and_readiness(port):
    ready = threading.Event()
    metrics_server.serve(Settings(metrics_port=port), component="worker", ready=ready.is_set)
    url = f"http://127.0.0.1:{port}"

    assert 'dream_build_info{component="worker"' in httpx.get(f"{url}/metrics").text
    assert httpx.get(f"{url}/readyz").status_code == 503
    ready.set()
    assert httpx.get(f"{url}/readyz").status_code == 200

    # A second server on the same port logs a warning and returns.
    metrics_server.serve(Settings(metrics_port=port), component="worker", ready=ready.is_set)


def test_the_liveness_file_is_touched_while_the_process_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(liveness_file, "INTERVAL_S", 0.02)
    file = tmp_path / "run" / "alive"

    liveness_file.start(file)

    first = written_after(file, 0)
    assert written_after(file, first) > first


def written_after(file, then):
    wait_until(lambda: file.exists() and file.stat().st_mtime_ns > then, what=f"a change of {file}")
    return file.stat().st_mtime_ns
