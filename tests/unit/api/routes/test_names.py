"""A job's title: its origin, its change, and the names of downloads."""

import io
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from api.jobs.downloads import look_of
from api.jobs.submission import Sent, Submission
from api.schemas.requests import JobOptions
from shared.jobs.job import JobState
from shared.jobs.lifecycle import JobLifecycle
from shared.networks.presets import PRESETS
from shared.params import DreamParams
from shared.s3 import object_keys
from tests.fakes.pictures import a_picture


def photo(name: str):
    return io.BytesIO(a_picture()), name


def file_name(answer) -> str:
    return parse_qs(urlsplit(answer.location).query)["filename"][0]


def test_a_job_is_called_after_the_photographs_file(submit, http, world):
    job = submit(image=photo("/photos/Ka\u0308tzchen.jpg")).json

    assert job["name"] == "Kätzchen.jpg"
    assert http.get("/v1/jobs").json["jobs"][0]["name"] == "Kätzchen.jpg"
    assert json.loads(world.storage.get(object_keys.manifest(job["id"])))["name"] == "Kätzchen.jpg"


def test_a_name_that_is_asked_for_comes_first(submit, http, world):
    assert submit(image=photo("cat.jpg"), name=" Miezi ").json["name"] == "Miezi"
    upload = http.post("/v1/uploads", json={}).json["id"]
    world.storage.put(object_keys.upload("local", upload), a_picture())
    assert http.post("/v1/jobs", json={"image": {"upload": upload}, "name": "Miezi"}).json["name"] == "Miezi"
    assert http.post("/v1/jobs", json={"image": {"upload": upload}}).json["name"] is None


@pytest.mark.parametrize("name", ["Paris 3/4", "sea/sky", "a\\b", "100%22", "blob"])
def test_a_title_is_no_path_and_is_kept_whole(submit, http, world, name):
    job = submit(image=photo("cat.jpg"), name=name).json
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

    assert job["name"] == name
    assert http.patch(f"/v1/jobs/{job['id']}", json={"name": name}).json["name"] == name
    assert not {"/", "\\"} & set(file_name(http.get(f"/v1/jobs/{job['id']}/result")))


def test_a_name_of_which_nothing_is_left_is_refused(submit, http):
    job = submit().json
    for answer in (submit(name="..."), http.patch(f"/v1/jobs/{job['id']}", json={"name": "\u200b"})):
        assert (answer.status_code, answer.json["path"]) == (422, "name")


def test_a_title_is_changed_and_outlives_a_wiped_redis_and_retention(submit, http, world):
    # given
    job = submit(image=photo("cat.jpg")).json
    tag = http.get(f"/v1/jobs/{job['id']}").headers["ETag"]

    # when
    renamed = http.patch(f"/v1/jobs/{job['id']}", json={"name": "Miezi"})

    # then
    assert (renamed.status_code, renamed.json["name"], renamed.json["state"]) == (200, "Miezi", "queued")
    assert http.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": tag}).status_code == 200
    world.store.wipe()
    assert http.get(f"/v1/jobs/{job['id']}").json["name"] == "Miezi"
    done = world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")
    assert JobLifecycle(world.storage, world.store, world.notifier).expire(done)
    world.store.wipe()
    assert http.get(f"/v1/jobs/{job['id']}").json["name"] == "Miezi"
    assert http.patch(f"/v1/jobs/{job['id']}", json={"name": None}).json["name"] is None
    world.store.wipe()
    assert http.get(f"/v1/jobs/{job['id']}").json["name"] is None


def test_nothing_else_of_a_job_can_be_changed(submit, http):
    job = submit().json
    assert http.patch(f"/v1/jobs/{job['id']}", json={"name": "x", "state": "running"}).json["path"] == "state"
    assert http.patch(f"/v1/jobs/{job['id']}", json={}).json["path"] == "name"
    assert http.patch(f"/v1/jobs/{job['id']}", data="name=x").status_code == 415
    assert http.patch("/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV", json={"name": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("params", "name"),
    [
        (next(preset.params for preset in PRESETS if preset.name == "animals"), "cat-animals.png"),
        ({"octaves": 2}, "cat-dream.png"),
    ],
)
def test_downloads_are_called_after_the_photograph_and_the_look(submit, http, world, params, name):
    job = submit(image=photo("cat.jpg"), guide=photo("dog.jpg"), params=dict(params) | {"keep_gradients": True}).json
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")
    world.storage.put(object_keys.gradient(job["id"], 2), b"gray")

    assert file_name(http.get(f"/v1/jobs/{job['id']}/result")) == name
    assert file_name(http.get(f"/v1/jobs/{job['id']}/input")) == "cat-photo.jpeg"
    assert file_name(http.get(f"/v1/jobs/{job['id']}/guide")) == "cat-guide.jpeg"
    assert file_name(http.get(f"/v1/jobs/{job['id']}/gradients/2")) == "cat-gradient-2.png"


def test_maps_are_called_maps(submit, http, world):
    job = submit(image=photo("cat.jpg"), kind="feature_maps").json
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png", maps_npz=b"npz")

    assert file_name(http.get(f"/v1/jobs/{job['id']}/result")) == "cat-maps.png"
    assert file_name(http.get(f"/v1/jobs/{job['id']}/data")) == "cat-maps.npz"


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset.params], ids=lambda preset: preset.name)
def test_every_preset_is_recognized_by_its_parameters(preset):
    assert look_of(DreamParams.model_validate(preset.params).model_copy(update={"seed": 5})) == preset.name


def test_a_key_of_before_there_were_names_still_recognizes_its_request(http, world):
    # given a reservation with the fingerprint that an older version computed
    old = Submission(options=JobOptions(), params=DreamParams(), image=Sent(io.BytesIO(b"x")))
    named = Submission(options=JobOptions(), params=DreamParams(), image=Sent(io.BytesIO(b"x"), name="cat.jpg"))
    assert '"name"' not in old.options.model_dump_json(exclude={"name"})
    assert old.fingerprint() == named.fingerprint()
    other = Submission(options=JobOptions(name="Miezi"), params=DreamParams(), image=Sent(io.BytesIO(b"x")))
    assert other.fingerprint() != old.fingerprint()
