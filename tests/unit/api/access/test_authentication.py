import io

import pytest

from api.access.authentication import COOKIE
from shared.settings import Settings
from tests.fakes.pictures import a_picture

ADMIN = "an-admin-key-of-some-length"


@pytest.fixture
def settings():
    return Settings(keys="on", admin_key=ADMIN)


@pytest.fixture
def key(world):
    """Creates a key for an owner."""
    return lambda owner: world.services.keyring.create(owner)[1]


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def submit(http, key):
    return http.post("/v1/jobs", data={"image": (io.BytesIO(a_picture()), "a.jpg")}, headers=bearer(key))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer dream_0123456789abcdef_x"},
        {"Authorization": "Bearer ../../keys"},
        {"Cookie": f"{COOKIE}=forged.abc.def"},
    ],
)
def test_requests_without_a_valid_key_are_unauthorized(http, headers):
    for path in ("/v1/jobs", "/v1/jobs/x", "/v1/jobs/x/events", "/v1/models", "/v1/status", "/v1/keys"):
        answer = http.get(path, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (401, "unauthorized"), path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "RateLimit" not in answer.headers


def test_health_checks_and_the_openapi_document_need_no_key(http):
    assert [http.get(path).status_code for path in ("/healthz", "/openapi.json")] == [200, 200]


def test_only_its_owner_can_access_a_job(http, key):
    # given
    ann, bob = key("ann"), key("bob")
    links = submit(http, ann).json["links"]

    # when, then
    for name in ("self", "events", "input"):
        assert http.get(links[name], headers=bearer(bob)).json["code"] == "job_not_found", name
    assert http.post(links["cancel"], headers=bearer(bob)).status_code == 404
    assert http.delete(links["self"], headers=bearer(bob)).status_code == 404
    assert http.get("/v1/jobs", headers=bearer(bob)).json["jobs"] == []
    assert len(http.get("/v1/jobs", headers=bearer(key("ann"))).json["jobs"]) == 1


def test_another_owners_job_is_indistinguishable_from_a_missing_one(http, key):
    theirs = submit(http, key("ann")).json["id"]
    bob = bearer(key("bob"))

    def shape(job_id):
        answer = http.get(f"/v1/jobs/{job_id}", headers=bob)
        return answer.status_code, answer.json["detail"].replace(job_id, "ID"), sorted(dict(answer.headers))

    assert shape(theirs) == shape(theirs[:-4] + "0000")


def test_only_its_owner_can_use_an_upload(http, key, world):
    upload = http.post("/v1/uploads", headers=bearer(key("ann"))).json
    world.storage.put(upload["fields"]["key"], a_picture())

    answer = http.post("/v1/jobs", json={"image": {"upload": upload["id"]}}, headers=bearer(key("bob")))

    assert (answer.status_code, answer.json["path"]) == (422, "image.upload")


def test_only_its_owner_can_continue_complete_or_remove_an_upload_by_parts(http, key, world):
    ann, bob = bearer(key("ann")), bearer(key("bob"))
    picture = a_picture()
    upload = http.post("/v1/uploads/parts", json={"size_bytes": len(picture)}, headers=ann).json["id"]
    address = f"/v1/uploads/{upload}"
    part = http.get(f"{address}/parts", headers=ann).json["parts"][0]
    world.storage.put_part(part["url"], picture)

    assert http.get(f"{address}/parts", headers=bob).status_code == 404
    assert http.post(f"{address}/complete", headers=bob).status_code == 404
    assert http.delete(address, headers=bob).status_code == 204  # as for an upload that never was

    assert http.post(f"{address}/complete", headers=ann).status_code == 200
    refused = http.post("/v1/jobs", json={"image": {"upload": upload}}, headers=bob)
    assert (refused.status_code, refused.json["path"]) == (422, "image.upload")
    assert http.delete(address, headers=bob).status_code == 204
    assert http.post("/v1/jobs", json={"image": {"upload": upload}}, headers=ann).status_code == 202


def test_only_hashes_of_keys_are_stored(world, key):
    secret = key("ann").split("_", 2)[2]

    assert all(secret.encode() not in body for body in world.storage.objects.values())


def test_the_admin_key_creates_lists_and_revokes_keys(http):
    # when
    created = http.post("/v1/keys", json={"owner": "ann", "name": "laptop"}, headers=bearer(ADMIN))
    submitted = submit(http, created.json["key"])
    listed = http.get("/v1/keys", headers=bearer(ADMIN)).json["keys"]
    revoked = http.delete(f"/v1/keys/{created.json['id']}", headers=bearer(ADMIN))

    # then
    assert (created.status_code, submitted.status_code) == (201, 202)
    assert [(entry["owner"], entry["name"], entry["revoked_at"]) for entry in listed] == [("ann", "laptop", None)]
    assert "key" not in listed[0]
    assert revoked.json["revoked_at"]
    assert submit(http, created.json["key"]).status_code == 401
    assert http.delete("/v1/keys/nothing", headers=bearer(ADMIN)).json["code"] == "key_not_found"


def test_the_admin_key_is_refused_elsewhere_and_other_keys_cannot_manage_keys(http, key):
    assert http.get("/v1/jobs", headers=bearer(ADMIN)).status_code == 403
    assert http.get("/v1/keys", headers=bearer(key("ann"))).status_code == 403


@pytest.mark.parametrize("owner", ["", "Ann", "a:b", "a/b", "../x", "x" * 64])
def test_an_owner_that_does_not_fit_into_object_keys_is_refused(http, owner):
    assert http.post("/v1/keys", json={"owner": owner}, headers=bearer(ADMIN)).json["path"] == "owner"


def test_a_revoked_key_stops_working_in_other_processes_within_20_seconds(http, key, world):
    # given a process that has cached the key, and another one that revokes it
    ann = key("ann")
    record = world.services.keyring.find(ann)
    other = type(world.services.keyring)(world.storage, world.clock)
    other.revoke(record.id)
    assert http.get("/v1/jobs", headers=bearer(ann)).status_code == 200

    # when
    world.clock.sleep(20)

    # then
    assert http.get("/v1/jobs", headers=bearer(ann)).status_code == 401


def test_cached_keys_keep_working_while_storage_is_unavailable(http, key, world):
    ann = key("ann")
    world.storage.available = False
    world.clock.sleep(60)

    assert http.get("/v1/jobs", headers=bearer(ann)).status_code == 200
    assert http.get("/v1/jobs", headers=bearer("dream_0123456789abcdef_x")).status_code == 503


def test_logging_in_sets_a_session_cookie_and_logging_out_removes_it(http, key):
    # given
    assert http.get("/v1/session").json == {"keys_required": True, "owner": None}

    # when
    answer = http.post("/v1/session", json={"key": key("ann")})

    # then
    cookie = answer.headers["Set-Cookie"]
    assert answer.json == {"keys_required": True, "owner": "ann"}
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert http.get("/v1/jobs").status_code == 200
    assert http.get("/v1/session").json["owner"] == "ann"
    assert http.delete("/v1/session").status_code == 204
    assert http.get("/v1/jobs").status_code == 401


def test_the_cookie_is_secure_over_https(http, key):
    answer = http.post("/v1/session", json={"key": key("ann")}, base_url="https://localhost")

    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_a_session_ends_when_its_key_is_revoked(http, key, world):
    ann = key("ann")
    http.post("/v1/session", json={"key": ann})
    world.services.keyring.revoke(world.services.keyring.find(ann).id)

    assert http.get("/v1/jobs").status_code == 401


def test_logging_in_with_a_wrong_key_is_unauthorized(http):
    answer = http.post("/v1/session", json={"key": "dream_0123456789abcdef_x"})

    assert (answer.status_code, answer.json["path"]) == (401, "key")
    assert "Set-Cookie" not in answer.headers


def test_cross_site_writes_are_forbidden(http, key):
    ann = bearer(key("ann"))

    assert http.post("/v1/uploads", headers={**ann, "Origin": "https://evil.example"}).json["code"] == "forbidden"
    assert http.post("/v1/uploads", headers={**ann, "Origin": "null"}).status_code == 403
    assert http.post("/v1/uploads", headers={**ann, "Origin": "http://localhost"}).status_code == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Origin": "https://localhost"}, 403),  # another origin than http://localhost
        ({"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"}, 201),  # a proxy ends TLS and does not say so
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "HTTP://LOCALHOST"}, 201),
        ({"Origin": ""}, 403),
        ({"Origin": "null", "Host": ""}, 403),
    ],
)
def test_a_write_comes_from_no_other_origin(http, key, headers, status):
    assert http.post("/v1/uploads", headers={"Authorization": f"Bearer {key('ann')}", **headers}).status_code == status


class TestWithoutKeys:
    @pytest.fixture
    def settings(self):
        return Settings()

    @pytest.mark.parametrize(
        ("host", "peer", "status"),
        [
            ("localhost:8000", "127.0.0.1", 200),
            ("127.0.0.1:8000", "127.0.0.1", 200),
            ("[::1]:8000", "::1", 200),
            ("127.0.0.1", "::ffff:127.0.0.1", 200),
            ("evil.example", "127.0.0.1", 403),  # DNS rebinding
            ("127.0.0.1.evil.example", "127.0.0.1", 403),
            ("127.0.0.1", "192.168.1.7", 403),
        ],
    )
    def test_only_loopback_clients_and_hosts_are_served(self, http, host, peer, status):
        answer = http.get("/v1/models", headers={"Host": host}, environ_overrides={"REMOTE_ADDR": peer})

        assert answer.status_code == status

    def test_the_page_needs_no_log_in(self, http):
        assert http.get("/v1/session").json == {"keys_required": False, "owner": "local"}
        assert http.post("/v1/session", json={"key": "x"}).json == {"keys_required": False, "owner": "local"}

    def test_keys_cannot_be_created_without_an_admin_key(self, http):
        assert http.post("/v1/keys", json={"owner": "ann"}).json["code"] == "forbidden"


class TestWithKeysOff:
    @pytest.fixture
    def settings(self):
        return Settings(keys="off")

    def test_any_machine_is_served(self, http):
        answer = http.get(
            "/v1/models", headers={"Host": "dreams.example"}, environ_overrides={"REMOTE_ADDR": "192.168.1.7"}
        )

        assert answer.status_code == 200
