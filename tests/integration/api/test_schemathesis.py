"""Thousands of requests made up from the OpenAPI document, valid and not, against the running service."""

import io
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings

from api.openapi import COMMITTED
from deploy import parts
from deploy.process import Child
from shared.ports import WorkerInfo
from shared.store import RedisStore
from tests.integration.api.conftest import a_free_port
from tests.unit.api.pictures import a_picture

ADMIN = "an-admin-key-of-some-length"
schema = schemathesis.openapi.from_path(COMMITTED)


@pytest.fixture(scope="module")
def guarded(services, tmp_path_factory) -> Iterator[str]:
    """A running api that wants keys."""
    env = {
        **parts.environment(services.settings),
        "DREAM_KEYS": "on",
        "DREAM_ADMIN_KEY": ADMIN,
        "DREAM_STREAM_LIMIT_S": "0.05",
        "DREAM_POLLS_PER_MINUTE": "1000000",
        "DREAM_REQUESTS_PER_MINUTE": "1000000",
        "DREAM_SUBMISSIONS_PER_MINUTE": "1000000",
    }
    port = a_free_port()
    api = Child(parts.api(port, env), tmp_path_factory.mktemp("guarded") / "api.log")
    try:
        api.wait_until_ready()
        alive = WorkerInfo(name="w", models=(), device="cpu", job_id=None, seen_at=0)
        RedisStore.connect(services.settings).beat(alive, ttl_s=600)
        yield f"http://127.0.0.1:{port}"
    finally:
        api.stop()


@pytest.fixture(scope="module")
def key(guarded):
    made = httpx.post(f"{guarded}/v1/keys", json={"owner": "ann"}, headers={"Authorization": f"Bearer {ADMIN}"})
    return made.json()["key"]


@pytest.fixture(scope="module")
def upload(guarded, key):
    form = httpx.post(f"{guarded}/v1/uploads", headers={"Authorization": f"Bearer {key}"}).json()
    sent = httpx.post(form["url"], data=form["fields"], files={"file": io.BytesIO(a_picture())})
    assert sent.is_success
    return form["id"]


def _with_pictures(body, upload):
    """What a schema can't say: that the bytes are a picture, which uploads there are, which layers."""
    if not isinstance(body, dict):
        return body
    for name in ("image", "guide", "mask"):
        if isinstance(body.get(name), bytes):
            body[name] = a_picture()
        elif isinstance(body.get(name), dict) and isinstance(body[name].get("upload"), str):
            body[name]["upload"] = upload
    if isinstance(body.get("webhook_url"), str) and body["webhook_url"].startswith("http"):
        body["webhook_url"] = "https://receiver.example/hook"
    if isinstance(body.get("size_bytes"), int | float) and body["size_bytes"] > 1_000_000:
        body["size_bytes"] = 1_000_000
    params = body.get("params")
    if isinstance(params, dict):
        for name, known in (("model", "efficientnet-lite0"), ("layer", "stem"), ("preset", "ears")):
            if isinstance(params.get(name), str):
                params[name] = known
        if isinstance(params.get("long_side"), int | float) and params["long_side"] > 1000:
            params["long_side"] = 1000  # larger ones are refused by what they make of the photograph
        if isinstance(params.get("long_side"), int | float) and isinstance(params.get("scale"), int | float):
            del params["scale"]
    return body


def _new_key(headers):
    """A key that was used before is refused, and waiting takes time."""
    fresh = {"Idempotency-Key": uuid4().hex, "Prefer": "respond-async"}
    return {name: value for name, value in fresh.items() if headers.get(name)}


@schema.parametrize()
@seed(20150617)
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_call_answers_as_it_is_described(case, guarded, key, upload):
    case.query = {name: value for name, value in (case.query or {}).items() if name != "cursor"}  # opaque
    case.headers = {**(case.headers or {}), **_new_key(case.headers or {})}
    case.body = _with_pictures(case.body, upload)
    token = ADMIN if case.path.startswith("/v1/keys") else key
    case.call_and_validate(base_url=guarded, headers={"Authorization": f"Bearer {token}"}, timeout=20)
