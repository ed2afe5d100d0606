"""The requests that this service sends, for the OpenAPI document's `webhooks`."""

from typing import Any

SUMMARIES = {"job.started": "A job has started", "job.completed": "A job has ended"}
OPERATION_IDS = {"job.started": "onJobStarted", "job.completed": "onJobCompleted"}
DESCRIPTIONS = {
    "job.started": "A worker has begun with the job, or with its retry. Sent if `webhook_events` lists `started`.",
    "job.completed": "The job succeeded, failed or was canceled. A job's messages arrive in the order of its events.",
}
HEADERS = {
    "webhook-id": "Id of the message; the same when it is sent again.",
    "webhook-timestamp": "Unix time of this attempt, seconds; refuse messages that are older than some minutes.",
    "webhook-signature": "Signature as in Standard Webhooks, with the secret of `GET /v1/webhooks/secret`.",
}
RESPONSES = {
    "2XX": "Received. Respond within 10 seconds.",
    "410": "The receiver is gone: no further attempt.",
    "4XX": "Refused. Any other status than 2XX and 410 is tried again for a day.",
}


def webhooks() -> dict[str, Any]:
    """Returns the section: one operation for each type of message."""
    return {name: {"post": _operation(name)} for name in SUMMARIES}


def _operation(name: str) -> dict[str, Any]:
    return {
        "operationId": OPERATION_IDS[name],
        "summary": SUMMARIES[name],
        "description": DESCRIPTIONS[name],
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [
            {"name": header, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for header, text in HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WebhookMessage"}}},
        },
        "responses": {status: {"description": text} for status, text in RESPONSES.items()},
    }
