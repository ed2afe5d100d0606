"""Returns the secret with which an owner's webhooks are signed."""

from apiflask import APIBlueprint

from api import request_context
from api.schemas.account_views import WebhookSecret
from shared.webhooks import delivery

bp = APIBlueprint("webhooks", __name__, url_prefix="/v1/webhooks", tag="Webhooks")


@bp.get("/secret")
@bp.output(WebhookSecret)
@bp.doc(summary="Get the signing secret", operation_id="getWebhookSecret", responses=[429, 503])
def secret() -> WebhookSecret:
    """Returns the secret that signs your webhooks, in the format of Standard Webhooks libraries."""
    master = request_context.services().keyring.secret(delivery.SECRET)
    return WebhookSecret(secret=delivery.shown(delivery.secret_of(request_context.owner(), master)))
