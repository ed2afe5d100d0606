"""A real Redis that answers but refuses writes: full, unable to save, or turned into a replica."""

import io

import pytest

from api.app import create_app
from api.wiring import assemble
from shared.celery_app import CeleryNotifier
from shared.clock import SystemClock
from shared.errors import StoreRefusing
from shared.interfaces import WorkerInfo
from shared.redis.connection import rate_limit_storage
from shared.redis.job_queries import RedisJobQueries
from shared.redis.job_store import RedisJobStore
from shared.redis.subscriptions import RedisSubscriptions
from shared.settings import Settings
from tests.fakes.object_storage import MemoryObjectStorage
from tests.fakes.pictures import a_picture
from tests.fakes.redis_server import REFUSALS, SAYS, RefusingRedis
from worker.doctor.redis_checks import check_redis

pytestmark = pytest.mark.service

WORKER = WorkerInfo(name="w", models=("efficientnet-lite0",), device="cpu", job_id=None, seen_at=0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = RefusingRedis(tmp_path_factory.mktemp("redis") / "refusing")
    yield running
    running.stop()


@pytest.fixture
def settings(server):
    server.admin.flushall()
    return Settings(redis_url=server.url)


@pytest.fixture
def store(settings):
    connected = RedisJobStore.connect(settings)
    connected.register_worker(WORKER, ttl_s=600)
    yield connected
    connected.redis.close()


@pytest.fixture
def http(settings, store):
    """The API on this Redis, with S3 in memory."""
    subscriptions = RedisSubscriptions.connect(settings)
    services = assemble(
        settings,
        store=store,
        storage=MemoryObjectStorage(SystemClock()),
        notifier=CeleryNotifier.connect(settings),
        job_queries=RedisJobQueries(store.redis),
        subscriptions=subscriptions,
        clock=SystemClock(),
        rate_limit_storage=rate_limit_storage(settings),
    )
    yield create_app(settings, services=services).test_client()
    subscriptions.close()


def submit(http):
    return http.post("/v1/jobs", data={"image": (io.BytesIO(a_picture()), "cat.jpg")})


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refused_write_says_what_redis_said(server, store, how):
    with server.refusing(how), pytest.raises(StoreRefusing, match=f"Redis refuses writes: .*{SAYS[how]}"):
        store.register_worker(WORKER, ttl_s=600)
    store.register_worker(WORKER, ttl_s=600)


@pytest.mark.parametrize("how", REFUSALS)
def test_a_direct_write_says_what_redis_said(server, store, how):
    with server.refusing(how), pytest.raises(StoreRefusing, match=SAYS[how]):
        store.check_writes()
    store.check_writes()


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refused_wake_up_says_what_redis_said(server, settings, how):
    notifier = CeleryNotifier.connect(settings)
    notifier.notify_workers()

    with server.refusing(how), pytest.raises(StoreRefusing, match=SAYS[how]):
        notifier.notify_workers()

    notifier.notify_workers()
    assert notifier.pending_wake_ups() == 2


@pytest.mark.parametrize("how", REFUSALS)
def test_polls_are_answered_without_their_counter(server, http, how):
    address = submit(http).location
    etag = http.get(address).headers["ETag"]

    with server.refusing(how):
        polled = http.get(address)
        unchanged = http.get(address, headers={"If-None-Match": etag})
        listed = http.get("/v1/jobs")

    assert (polled.status_code, polled.json["state"]) == (200, "queued")
    assert '"polls";r=6000' in polled.headers["RateLimit"]
    assert unchanged.status_code == 304
    assert len(listed.json["jobs"]) == 1


@pytest.mark.parametrize("how", REFUSALS)
def test_readiness_needs_a_write_and_says_what_redis_said(server, http, how):
    assert http.get("/readyz").status_code == 200

    with server.refusing(how):
        refused = http.get("/readyz")

    assert (refused.status_code, refused.json["ready"]) == (503, False)
    assert SAYS[how] in refused.json["redis"]
    assert http.get("/readyz").status_code == 200


@pytest.mark.parametrize("how", REFUSALS)
def test_submissions_are_accepted_and_cancels_refused_with_the_reason(server, http, how):
    waiting = submit(http)

    with server.refusing(how):
        accepted = submit(http)
        canceled = http.post(f"{waiting.location}/cancel")

    assert accepted.status_code == 202
    assert (canceled.status_code, canceled.json["code"]) == (503, "store_refusing")
    assert SAYS[how] in canceled.json["detail"]
    assert http.get(accepted.location).status_code == 200  # restored from S3


@pytest.mark.parametrize("how", REFUSALS)
def test_the_doctor_says_what_redis_said(server, settings, store, how):
    with server.refusing(how):
        findings = list(check_redis(settings))

    assert [finding.severity for finding in findings if finding.severity == "error"]
    assert any(SAYS[how] in finding.found or "is a replica" in finding.found for finding in findings)
