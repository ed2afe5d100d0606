from shared.interfaces import WorkerInfo


def test_liveness_does_not_depend_on_redis_and_s3(http, world):
    world.store.available = world.storage.available = False

    assert http.get("/healthz").json == {"status": "ok"}


def test_readiness_needs_a_live_worker(http, world):
    # given
    before = http.get("/readyz")

    # when
    world.store.register_worker(WorkerInfo(name="w", models=(), device="cpu", job_id=None, seen_at=0), ttl_s=30)
    after = http.get("/readyz")

    # then
    assert (before.status_code, before.json["workers"]) == (503, 0)
    assert (after.status_code, after.json) == (200, {"ready": True, "redis": "ok", "storage": "ok", "workers": 1})
