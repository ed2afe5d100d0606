from shared.interfaces import WorkerInfo
from shared.jobs.job import JobProgress


def test_the_status_counts_all_jobs_and_shows_the_callers_own(submit, http, world):
    # given
    submit()
    submit()
    mine = world.claim()
    world.store.renew(mine, lease_s=15, progress=JobProgress(octaves=1, iterations=1, pixels_per_second=1000.0))
    world.store.register_worker(
        WorkerInfo(name="w", models=("efficientnet-lite0",), device="cpu", job_id=mine.id, seen_at=0), ttl_s=30
    )

    # when
    status = http.get("/v1/status").json

    # then
    assert (status["queued"], status["running"]) == (1, 1)
    assert status["workers"] == [
        {"name": "w", "device": "cpu", "models": ["efficientnet-lite0"], "busy": True, "job_id": mine.id}
    ]
    assert status["throughput"]["pixels_per_second"] == 1000
    assert status["limits"] == {
        "max_pixels": 1_000_000,
        "max_upload_bytes": 200_000,
        "max_direct_upload_bytes": 5 * 2**30,
    }


def test_another_owners_job_id_is_hidden(submit, http, world):
    submit()
    job = world.edit(world.claim(), owner="ann")
    world.store.register_worker(WorkerInfo(name="w", models=(), device="cpu", job_id=job.id, seen_at=0), ttl_s=30)

    (worker,) = http.get("/v1/status").json["workers"]

    assert (worker["busy"], worker["job_id"]) == (True, None)
