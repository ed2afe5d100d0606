"""What a receiver of webhooks needs."""

from apiflask import APIBlueprint

from api import context
from api.schemas.access import WebhookSecret
from shared import webhooks

bp = APIBlueprint("webhooks", __name__, url_prefix="/v1/webhooks", tag="Webhooks")


@bp.get("/secret")
@bp.output(WebhookSecret)
@bp.doc(summary="Your signing secret", operation_id="getWebhookSecret", responses=[429, 503])
def secret() -> WebhookSecret:
    """What your webhooks are signed with, as libraries for Standard Webhooks want it."""
    master = context.services().keyring.secret(webhooks.SECRET)
    return WebhookSecret(secret=webhooks.shown(webhooks.secret_of(context.owner(), master)))
