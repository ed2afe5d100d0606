import base64

import pytest

from shared.jobs.job import Manifest, Webhook


def test_the_manifest_holds_the_webhook(submit, world):
    job_id = submit(webhook_url="https://receiver.example/hook", webhook_events="started,completed").json["id"]

    manifest = Manifest.model_validate_json(world.storage.objects[f"jobs/{job_id}/manifest.json"])
    assert manifest.webhook == Webhook(url="https://receiver.example/hook", events=("started", "completed"))


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
