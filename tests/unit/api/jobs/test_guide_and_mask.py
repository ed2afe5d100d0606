"""Guides, masks, sizes, formats, feature maps and presets: submission, validation and results."""

import io
import json
from dataclasses import replace

import pytest
from PIL import Image

from api.app import create_app
from shared.interfaces import WorkerInfo
from shared.jobs.job import JobState
from shared.params import FeatureMapsParams
from shared.s3 import object_keys
from tests.fakes.pictures import a_picture, encode


def part(content: bytes):
    return io.BytesIO(content), "part.png"


@pytest.fixture
def stored(world):
    return lambda: sorted(world.storage.keys("jobs/"))


def test_guide_and_mask_are_stored_and_returned_with_the_job(submit, http, world):
    job = submit(guide=part(a_picture(width=70)), mask=part(a_picture("PNG", mode="L", width=33))).json

    assert (job["guide"]["width"], job["mask"]["width"], job["mask"]["format"]) == (70, 33, "png")
    assert world.storage.get(object_keys.guide(job["id"])) == a_picture(width=70)
    assert world.storage.get(object_keys.mask(job["id"])) == a_picture("PNG", mode="L", width=33)
    for name in ("guide", "mask", "input"):
        assert http.get(job["links"][name]).status_code == 303


def test_a_job_without_guide_and_mask_has_no_links_to_them(submit, http):
    job = submit().json
    assert (job["guide"], job["links"]["guide"], job["links"]["mask"]) == (None, None, None)
    assert http.get(f"/v1/jobs/{job['id']}/mask").status_code == 409


@pytest.mark.parametrize("name", ["guide", "mask"])
def test_an_invalid_guide_or_mask_is_refused_by_name_and_nothing_is_stored(submit, stored, name):
    answer = submit(**{name: part(b"no image at all")})
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_image")
    assert f"The {name}:" in answer.json["detail"]
    assert stored() == []


def test_images_can_be_uploads(http, world):
    ids = {}
    for name in ("image", "guide"):
        ids[name] = http.post("/v1/uploads", json={}).json["id"]
        world.storage.put(object_keys.upload("local", ids[name]), a_picture())
    body = {name: {"upload": upload} for name, upload in ids.items()}

    job = http.post("/v1/jobs", json=body)

    assert job.status_code == 202
    assert world.storage.get(object_keys.guide(job.json["id"])) == a_picture()
    missing = http.post("/v1/jobs", json=body | {"mask": {"upload": ids["image"][::-1]}})
    assert (missing.status_code, missing.json["path"]) == (422, "mask.upload")


def test_a_misspelled_file_field_is_refused_with_a_suggestion(submit):
    assert submit(giude=part(a_picture())).json["suggestion"] == "guide"


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"scale": 15}, "params.scale"),
        ({"long_side": 90_000}, "params.long_side"),
        ({"color": "both"}, "params.color"),
        ({"strength": 2}, "params.strength"),
        ({"layers": [{"layer": "mixed4c"}]}, "params.layers.0.layer"),
        ({"layers": [{"layer": "block9", "channels": [112]}]}, "params.layers.0.channels.0"),
    ],
)
def test_invalid_parameters_are_refused_with_their_path_and_nothing_is_stored(submit, stored, params, path):
    answer = submit(params=params)
    assert (answer.status_code, answer.json["path"]) == (422, path)
    assert stored() == []


def test_scale_and_long_side_exclude_each_other(submit):
    assert "send only one of them" in submit(params={"scale": 2, "long_side": 100}).json["detail"]


@pytest.mark.parametrize(("asked", "name"), [("png16", "png"), ("jpeg", "jpg"), ("webp", "webp")])
def test_the_result_has_the_requested_format(submit, http, world, asked, name):
    submit(params={"format": asked})
    done = world.end(world.claim(), JobState.SUCCEEDED, **{f"result_{name}": b"the dream"})
    assert f"result.{name}" in http.get(f"/v1/jobs/{done.id}/result").location


def test_a_result_that_had_to_become_a_png_is_found_all_the_same(submit, http, world):
    submit(params={"format": "jpeg"})
    done = world.end(world.claim(), JobState.SUCCEEDED, result_png=b"the dream")
    assert "result.png" in http.get(f"/v1/jobs/{done.id}/result").location


@pytest.mark.parametrize(("form", "side"), [("webp", 16_384), ("jpeg", 65_501)])
def test_a_side_that_the_format_can_not_hold_is_refused_on_submission(submit, stored, form, side):
    answer = submit(image=part(a_picture("PNG", width=side, height=1)), params={"format": form})
    assert (answer.status_code, answer.json["path"], answer.json["suggestion"]) == (422, "params.format", "png")
    assert stored() == []


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "AVIF"])
def test_photographs_in_other_formats_are_taken(submit, world, kind):
    job = submit(image=part(a_picture(kind))).json
    assert (job["input"]["format"], job["input"]["width"]) == (kind.lower(), 96)


def test_feature_maps_have_their_own_parameters(submit, http, world):
    job = submit(kind="feature_maps", params={"layer": "block9", "count": 4}).json
    assert (job["kind"], job["params"]["layer"], job["params"]["count"]) == ("feature_maps", "block9", 4)
    assert world.store.get(job["id"]).params == FeatureMapsParams(layer="block9", count=4)
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"grid", maps_npz=b"numbers")
    job = http.get(f"/v1/jobs/{job['id']}").json
    assert http.get(job["links"]["data"]).status_code == 303


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"params": {"layer": "block99"}}, "params.layer"),
        ({"params": {"octaves": 3}}, "params.octaves"),
        ({"mask": part(a_picture())}, "mask"),
    ],
)
def test_feature_maps_refuse_parameters_of_dreams(submit, stored, fields, path):
    answer = submit(kind="feature_maps", **fields)
    assert (answer.status_code, answer.json["path"]) == (422, path)
    assert stored() == []


def test_a_dream_has_no_feature_map_data(submit, http):
    assert http.get(f"/v1/jobs/{submit().json['id']}/data").status_code == 409


def test_kept_gradients_can_be_listed_and_downloaded(submit, http, world):
    job = submit(params={"keep_gradients": True}).json
    for octave in range(2):
        world.storage.put(object_keys.gradient(job["id"], octave), b"gray")
    listed = http.get(job["links"]["gradients"]).json["gradients"]
    assert [gradient["octave"] for gradient in listed] == [0, 1]
    assert http.get(listed[1]["url"]).status_code == 303
    assert http.get(f"/v1/jobs/{job['id']}/gradients/7").status_code == 409
    assert http.get(f"/v1/jobs/{job['id']}/gradients/top").status_code == 422


def test_a_queued_job_that_no_worker_serves_says_what_it_waits_for(submit, http, world):
    def register_worker(*models):
        world.store.register_worker(WorkerInfo(name="w", models=models, device="cpu", job_id=None, seen_at=0), ttl_s=15)

    assert "No worker is running" in submit().json["waiting_for"]
    register_worker("efficientnet-lite0")
    world.clock.sleep(2)  # the cached set of workers expires
    assert submit().json["waiting_for"] is None
    job = submit(params={"model": "vgg16"}).json
    assert "'vgg16'" in job["waiting_for"]
    listed = {job["id"]: job["waiting_for"] for job in http.get("/v1/jobs").json["jobs"]}
    assert listed[job["id"]] == job["waiting_for"]

    models = {model["name"]: model for model in http.get("/v1/models").json["models"]}
    assert (models["efficientnet-lite0"]["ready"], models["efficientnet-lite0"]["needs"]) == (True, None)
    assert (models["inception5h"]["ready"], models["inception5h"]["needs"]) == (False, "download")
    assert models["vgg16"]["license"] == "CC-BY-4.0"


def test_every_listed_preset_can_be_submitted(http, submit):
    presets = http.get("/v1/presets").json["presets"]
    assert {preset["kind"] for preset in presets} == {"look", "classic"}
    for preset in presets:
        answer = submit(params=json.loads(json.dumps(preset["params"])))
        assert answer.status_code == 202, preset["name"]


@pytest.mark.parametrize("size", [(60_000, 16), (16, 60_000), (16_400, 1)])
def test_feature_maps_of_a_thin_strip_are_refused_by_their_size_at_the_network(submit, world, size):
    strip = part(encode(Image.new("L", size), "PNG"))

    answer = submit(image=strip, kind="feature_maps")

    assert (answer.status_code, answer.json["path"]) == (422, "image")
    assert "too long and thin" in answer.json["detail"]
    assert list(world.storage.keys("jobs/")) == []


def test_a_guide_that_is_a_thin_strip_is_refused(submit):
    answer = submit(guide=part(encode(Image.new("L", (60_000, 16)), "PNG")))

    assert (answer.status_code, answer.json["path"]) == (422, "guide")


def test_an_ordinary_panorama_is_not_too_thin(submit):
    assert submit(image=part(encode(Image.new("L", (3_000, 100)), "PNG")), kind="feature_maps").status_code == 202


@pytest.mark.parametrize(
    ("channels", "detail"),
    [([0] * 4096, "at most 256"), ([*range(30), 3], "channel 3 is listed twice"), ([], "at least 1")],
)
def test_a_channel_is_drawn_once_and_not_more_than_256_are(submit, channels, detail):
    answer = submit(kind="feature_maps", params={"channels": channels})

    assert (answer.status_code, answer.json["path"]) == (422, "params.channels")
    assert detail in answer.json["detail"]


@pytest.mark.parametrize(("channels", "status"), [([*range(1280)], 202), ([*range(4097)], 422), ([3, 3], 422)])
def test_a_dream_may_have_every_channel_of_a_layer_by_number(submit, channels, status):
    assert submit(params={"layers": [{"layer": "head", "channels": channels}]}).status_code == status


def test_a_dream_of_too_much_work_is_refused_with_the_number(world, settings):
    limited = settings.model_copy(update={"max_work": 96 * 80 * 50})
    services = replace(world.services, submissions=replace(world.submissions, max_work=limited.max_work))
    http = create_app(limited, services=services).test_client()
    form = {"image": part(a_picture()), "params": json.dumps({"octaves": 1, "iterations": 51})}

    answer = http.post("/v1/jobs", data=form)

    assert (answer.status_code, answer.json["path"], answer.json["suggestion"]) == (422, "params.iterations", "50")
    assert f"{96 * 80 * 51:,}" in answer.json["detail"]
