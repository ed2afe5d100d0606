import base64
import io

import pytest

from shared.jobs.job import Manifest, Webhook
from shared.settings import Settings
from tests.fakes.pictures import a_picture


def test_the_manifest_holds_the_webhook(submit, world):
    job_id = submit(webhook_url="https://receiver.example/hook", webhook_events="started,completed").json["id"]

    manifest = Manifest.model_validate_json(world.storage.objects[f"jobs/{job_id}/manifest.json"])
    events = ("started", "completed")
    assert manifest.webhook == Webhook(url="https://receiver.example/hook", events=events, api_url="http://localhost")


def _api_url(http, world, **form):
    form |= {"image": (io.BytesIO(a_picture()), "photo.jpg"), "webhook_url": "https://receiver.example/hook"}
    job_id = http.post("/v1/jobs", data=form, base_url="http://127.0.0.1:8000").json["id"]
    return Manifest.model_validate_json(world.storage.objects[f"jobs/{job_id}/manifest.json"]).webhook.api_url


def test_links_in_webhooks_begin_with_the_address_of_the_submission(http, world):
    assert _api_url(http, world) == "http://127.0.0.1:8000"


class TestPublicUrl:
    @pytest.fixture
    def settings(self):
        return Settings(public_url="https://public.example/")

    def test_links_in_webhooks_begin_with_the_public_address_where_one_is_set(self, http, world):
        assert _api_url(http, world) == "https://public.example"


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::ffff:10.0.0.1]/", "file:///etc/passwd", "hook"])
def test_a_private_or_invalid_address_is_refused(submit, world, url):
    answer = submit(webhook_url=url)

    assert (answer.status_code, answer.json["path"]) == (422, "webhook_url")
    assert world.storage.objects == {}


def test_an_unknown_event_is_refused(submit):
    answer = submit(webhook_url="https://receiver.example/", webhook_events="started,ended")

    assert (answer.status_code, answer.json["path"]) == (422, "webhook_events.1")


def test_the_signing_secret_is_stable(http):
    secret = http.get("/v1/webhooks/secret").json["secret"]

    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert http.get("/v1/webhooks/secret").json["secret"] == secret


@pytest.mark.parametrize("events", ["," * 10_000, "[" + ",".join(["1"] * 10_000) + "]"])
def test_of_many_events_that_do_not_exist_only_the_first_is_looked_at(submit, events):
    answer = submit(webhook_url="https://receiver.example/", webhook_events=events)

    assert (answer.status_code, answer.json["path"]) == (422, "webhook_events.0")
    assert len(answer.json.get("errors", ())) <= 2  # and that none is left
