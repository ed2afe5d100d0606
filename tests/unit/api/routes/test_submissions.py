import io

import pytest

from shared.jobs.job import JobState
from tests.fakes.pictures import a_picture


def test_a_submission_is_accepted_with_the_address_of_its_job(submit, http):
    # when
    answer = submit(params={"octaves": 2}, priority="high", deadline_s="60")

    # then
    assert answer.status_code == 202
    assert answer.headers["Retry-After"]
    assert answer.location == answer.json["links"]["self"] == f"/v1/jobs/{answer.json['id']}"
    assert answer.json["state"] == "queued"
    assert answer.json["queue_position"] == 0
    assert answer.json["params"]["octaves"] == 2
    assert answer.json["input"] == {
        "format": "jpeg", "width": 96, "height": 80, "size_bytes": len(a_picture()), "notes": []
    }  # fmt: skip
    assert http.get(answer.location).json == answer.json


def test_parameters_are_optional(submit):
    assert submit().json["params"]["layers"] == [{"layer": "block11_expand", "channels": None, "weight": 1.0}]


def test_a_preset_fills_in_what_params_do_not_say_and_the_job_keeps_both(submit, http, world):
    # when
    plain = submit(preset="eyes").json
    deeper = submit(preset="eyes", params={"iterations": 30, "long_side": 500}).json

    # then
    assert (plain["preset"], plain["changed"]) == ("eyes", [])
    assert (plain["params"]["layers"][0]["layer"], plain["params"]["iterations"]) == ("block9", 14)
    assert (deeper["preset"], deeper["changed"]) == ("eyes", ["iterations", "long_side"])
    assert deeper["params"]["step_size"] == 2.2
    assert (submit().json["preset"], submit().json["changed"]) == (None, [])
    # also after Redis was wiped
    world.store.jobs.clear()
    assert http.get(f"/v1/jobs/{deeper['id']}").json["changed"] == ["iterations", "long_side"]


def test_a_size_that_is_asked_for_replaces_the_presets(submit):
    params = submit(preset="tensorflow-tutorial", params={"long_side": 300}).json["params"]
    assert (params["scale"], params["long_side"]) == (None, 300)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"params": {"octaves": 17}}, (422, "invalid_field", "params.octaves", "16")),
        ({"params": {"iterations": 0}}, (422, "invalid_field", "params.iterations", "1")),
        ({"params": {"color": "kep"}}, (422, "invalid_field", "params.color", "keep")),
        ({"params": {"itertions": 3}}, (422, "invalid_field", "params.itertions", "iterations")),
        ({"params": {"step_size": "NaN"}}, (422, "invalid_field", "params.step_size", None)),
        ({"params": '{"step_size": NaN}'}, (422, "invalid_field", "params.step_size", None)),
        ({"params": {"model": "efficientnet-lite"}}, (422, "invalid_field", "params.model", "efficientnet-lite0")),
        (
            {"params": {"layers": [{"layer": "block5_expnd"}]}},
            (422, "invalid_field", "params.layers.0.layer", "block5_expand"),
        ),
        (
            {"params": {"layers": [{"layer": "stem", "channels": [32]}]}},
            (422, "invalid_field", "params.layers.0.channels.0", "31"),
        ),
        ({"params": {"layers": []}}, (422, "invalid_field", "params.layers", None)),
        ({"params": "{"}, (422, "invalid_field", "params", None)),
        ({"params": "[" * 5000}, (422, "invalid_field", "params", None)),
        ({"params": "null"}, (422, "invalid_field", "params", None)),
        ({"priority": "urgent"}, (422, "invalid_field", "priority", None)),
        ({"priority": "hihg"}, (422, "invalid_field", "priority", "high")),
        ({"deadline_s": "-1"}, (422, "invalid_field", "deadline_s", None)),
        ({"preset": "eye"}, (422, "invalid_field", "preset", "eyes")),
        ({"preset": "eyes", "kind": "feature_maps"}, (422, "invalid_field", "preset", None)),
        ({"deadline_s": "inf"}, (422, "invalid_field", "deadline_s", None)),
        ({"parms": "{}"}, (422, "invalid_field", "parms", "params")),
        ({"image": None, "params": "{}"}, (415, "unsupported_media_type", None, None)),
        ({"image": "text"}, (415, "unsupported_media_type", None, None)),
        ({"photo": (io.BytesIO(b"x"), "x.jpg")}, (422, "invalid_field", "photo", "image")),
        ({"image": (io.BytesIO(b"hello"), "x.jpg")}, (415, "unsupported_image", None, None)),
        ({"image": (io.BytesIO(b""), "x.jpg")}, (415, "unsupported_image", None, None)),
        ({"image": (io.BytesIO(a_picture("BMP")), "x.bmp")}, (415, "unsupported_image", None, None)),
        ({"image": (io.BytesIO(a_picture()[:-30]), "x.jpg")}, (422, "image_unreadable", None, None)),
        ({"image": (io.BytesIO(a_picture(width=1250, height=801)), "x.jpg")}, (413, "image_too_large", None, None)),
        ({"image": (io.BytesIO(a_picture() + bytes(200_000)), "x.jpg")}, (413, "request_too_large", None, None)),
    ],
)  # fmt: skip
def test_an_invalid_submission_is_a_problem_and_stores_nothing(submit, world, fields, expected):
    # when
    status, code, path, suggestion = expected
    answer = submit(**fields)

    # then
    problem = answer.json
    assert (answer.status_code, problem["code"]) == (status, code)
    assert (problem.get("path"), problem.get("suggestion")) == (path, suggestion)
    assert answer.content_type == "application/problem+json"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert (world.storage.objects, world.store.jobs, world.notifier.wake_ups) == ({}, {}, 0)


def test_all_invalid_fields_are_reported_together(submit):
    problem = submit(params={"octaves": 99, "itertions": 3}).json

    assert [error["path"] for error in problem["errors"]] == ["params.octaves", "params.itertions"]


def test_an_octave_scale_above_1_gets_its_inverse_as_suggestion(submit):
    assert "0.714" in submit(params={"octave_scale": 1.4}).json["detail"]


def test_a_form_without_an_image_is_refused(http):
    answer = http.post("/v1/jobs", data={"params": "{}"}, content_type="multipart/form-data")

    assert (answer.status_code, answer.json["path"]) == (422, "image")


def test_a_field_sent_twice_is_refused(http):
    answer = http.post("/v1/jobs", data={"image": [(io.BytesIO(a_picture()), "a.jpg"), (io.BytesIO(b""), "b.jpg")]})

    assert (answer.status_code, answer.json["path"]) == (422, "image")


def test_a_submission_can_wait_for_the_job_to_end(http, world):
    # given
    world.subscriptions.steps = [
        world.claim,
        lambda: world.end(next(iter(world.store.jobs.values())), JobState.SUCCEEDED),
    ]

    # when
    answer = http.post(
        "/v1/jobs", data={"image": (io.BytesIO(a_picture()), "photo.jpg")}, headers={"Prefer": "wait=10"}
    )

    # then
    assert (answer.status_code, answer.json["state"]) == (200, "succeeded")


@pytest.mark.parametrize("body", ["{", "[]", "null", '{"image": 3}', '{"image": {"upload": "x"}, "parms": {}}'])
def test_an_invalid_json_submission_is_a_problem(http, body):
    assert http.post("/v1/jobs", data=body, content_type="application/json").status_code == 422
