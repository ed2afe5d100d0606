"""Thousands of valid and invalid requests, generated from the OpenAPI document, against a running API."""

import io
import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings

from deploy.local import components
from deploy.local.process import Child
from shared.interfaces import WorkerInfo
from shared.redis.job_store import RedisJobStore
from tests.fakes.pictures import a_picture
from tests.integration.api.conftest import a_free_port
from tests.waiting import patience_s
from tools.openapi import COMMITTED

SHORT_BODIES = {"/v1/session", "/v1/keys", "/v1/uploads", "/v1/uploads/parts"}
ADMIN = "an-admin-key-of-some-length"


def _document():
    """Returns the document with the form of dreams alone: a form has either kind's parameters, not any of both.

    Feature maps are generated as JSON.
    """
    document = json.loads(COMMITTED.read_text())
    form = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    form["properties"]["params"] = {"$ref": "#/components/schemas/DreamParams"}
    form["properties"]["kind"]["enum"] = ["dream"]
    return document


schema = schemathesis.openapi.from_dict(_document())
schema.config.checks.negative_data_rejection.expected_statuses.append("413")  # a text far beyond its limit


@pytest.fixture(scope="module")
def guarded(services, tmp_path_factory) -> Iterator[str]:
    """The address of a running API that requires keys."""
    env = {
        **components.environment(services.settings),
        "DREAM_KEYS": "on",
        "DREAM_ADMIN_KEY": ADMIN,
        "DREAM_STREAM_LIMIT_S": "0.05",
        "DREAM_POLLS_PER_MINUTE": "1000000",
        "DREAM_REQUESTS_PER_MINUTE": "1000000",
        "DREAM_SUBMISSIONS_PER_MINUTE": "1000000",
        "DREAM_UNAUTHENTICATED_PER_MINUTE": "1000000",
    }
    port = a_free_port()
    api = Child(components.api(port, env), tmp_path_factory.mktemp("guarded") / "api.log")
    try:
        api.wait_until_ready()
        alive = WorkerInfo(name="w", models=(), device="cpu", job_id=None, seen_at=0)
        RedisJobStore.connect(services.settings).register_worker(alive, ttl_s=600)
        yield f"http://127.0.0.1:{port}"
    finally:
        api.stop()


@pytest.fixture(scope="module")
def key(guarded):
    created = httpx.post(f"{guarded}/v1/keys", json={"owner": "ann"}, headers={"Authorization": f"Bearer {ADMIN}"})
    return created.json()["key"]


@pytest.fixture(scope="module")
def upload(guarded, key):
    form = httpx.post(f"{guarded}/v1/uploads", headers={"Authorization": f"Bearer {key}"}).json()
    sent = httpx.post(form["url"], data=form["fields"], files={"file": io.BytesIO(a_picture())})
    assert sent.is_success
    return form["id"]


def _with_pictures(case, upload):
    """Replaces generated values by real ones where a schema can't describe them: images, uploads, names and layers."""
    body = case.body
    if not isinstance(body, dict):
        return
    for name in {"image", "guide", "mask"} & set(body):
        if case.media_type == "multipart/form-data" and isinstance(body[name], bytes | str):
            body[name] = a_picture()
        elif isinstance(body[name], dict) and _is_short(body[name].get("upload"), 100):
            body[name]["upload"] = upload
    if _is_short(body.get("webhook_url"), 2000) and body["webhook_url"].startswith(("http://", "https://")):
        body["webhook_url"] = "https://receiver.example/hook"
    _with_known_names(body, is_job=not case.path.startswith("/v1/keys"))
    if case.path in SHORT_BODIES:  # what is too long stays so, within the limit of the whole body
        long = {name: value for name, value in body.items() if isinstance(value, str) and len(value) > 100}
        body |= {name: "x" * min(len(value), 250) for name, value in long.items()}
    if isinstance(body.get("size_bytes"), int | float):
        body["size_bytes"] = min(body["size_bytes"], 1_000_000)
    if isinstance(body.get("params"), dict):
        _with_names(body["params"])


def _with_known_names(body, *, is_job):
    known = [("preset", 100, "animals")]
    if is_job:
        known.append(("name", 1000, "a title"))  # folders and control characters are removed from names
    body |= {name: value for name, longest, value in known if _is_short(body.get(name), longest)}


def _is_short(text, longest):
    """Returns whether the text is within its limit; generated violations of it are kept."""
    return isinstance(text, str) and len(text) <= longest


def _with_names(params):
    for name, known in (("model", "efficientnet-lite0"), ("preset", "ears")):
        if _is_short(params.get(name), 100):
            params[name] = known
    for target in [params, *(params.get("layers") if isinstance(params.get("layers"), list) else [])]:
        if isinstance(target, dict):
            _known_layer(target)
    if isinstance(params.get("long_side"), int | float) and params["long_side"] <= 100_000:
        params["long_side"] = min(params["long_side"], 1000)  # larger ones exceed the limit on pixels
        if type(scale := params.get("scale")) in {int, float} and 0 < scale <= 16:  # else it is a violation to keep
            del params["scale"]


def _as_files(body):
    """Adds file names, which schemathesis omits."""
    parts = {
        name: ("photo.jpg", value) if isinstance(value, bytes) else (None, _as_text(value))
        for name, value in body.items()
    }
    return {"files": parts}


def _as_text(value):
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def _known_layer(target):
    if _is_short(target.get("layer"), 100):
        target["layer"] = "stem"  # of 32 channels
    if isinstance(target.get("channels"), list):
        known = [c % 32 if type(c) in {int, float} and c >= 0 else c for c in target["channels"]]
        repeated = len(_distinct(target["channels"])) < len(known)  # a violation to keep
        target["channels"] = known if repeated else _distinct(known)


def _distinct(items):
    return [item for index, item in enumerate(items) if item not in items[:index]]


def _new_key(headers):
    """Returns headers with a new idempotency key and without waiting: a used key is refused, and waiting is slow."""
    fresh = {"Idempotency-Key": uuid4().hex, "Prefer": "respond-async"}
    return {name: value for name, value in fresh.items() if headers.get(name)}


def _test_of(operation_id):
    @schema.include(operation_id=operation_id).parametrize()
    @seed(20150617)
    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def every_response_matches_its_documentation(case, guarded, key, upload):
        case.query = {name: value for name, value in (case.query or {}).items() if name != "cursor"}  # opaque
        case.headers = {**(case.headers or {}), **_new_key(case.headers or {})}
        _with_pictures(case, upload)
        token = ADMIN if case.path.startswith("/v1/keys") else key
        files = _as_files(case.body) if case.media_type == "multipart/form-data" and isinstance(case.body, dict) else {}
        case.call_and_validate(
            base_url=guarded, headers={"Authorization": f"Bearer {token}"}, timeout=patience_s(), **files
        )

    return every_response_matches_its_documentation


# A name for each: Schemathesis gives all operations of a test one name, of which pytest-xdist would run only one.
OPERATIONS = sorted(
    operation["operationId"]
    for methods in _document()["paths"].values()
    for operation in methods.values()
    if isinstance(operation, dict) and "operationId" in operation
)
globals().update({f"test_every_response_of_{name}_matches_its_documentation": _test_of(name) for name in OPERATIONS})
