"""Adds the request and response headers to the OpenAPI document's operations."""

from typing import Any

from api.jobs.request_parsing import LONGEST_KEY
from shared.s3 import object_keys

IDEMPOTENCY_DAYS = round(object_keys.IDEMPOTENCY_KEPT_S / object_keys.DAY_S)


def _header(description: str, **schema: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON schema
    return {"description": description, "schema": {"type": "string", **schema}}


HEADERS = {
    "RateLimit": _header("Requests left in the current window, and seconds until it resets."),
    "RateLimit-Policy": _header(
        "The limit that applies to this operation: `polls` of a job, `submissions` of jobs and uploads, or other "
        "`requests`; its number per window, and the window's length in seconds."
    ),
    "Retry-After": _header("Seconds to wait before the next request."),
    "ETag": _header("Identifies this version; send it back as `If-None-Match`."),
    "Location": _header("Address of the resource.", format="uri-reference"),
    "Idempotency-Replayed": _header(
        "Whether this response repeats that of an earlier request.", enum=["true", "false"]
    ),
    "Preference-Applied": _header("The preference that was applied."),
}
REQUEST_HEADERS = {
    "Idempotency-Key": _header(
        f"Any unique text, quoted or not; makes the request safe to repeat for {IDEMPOTENCY_DAYS} days.",
        minLength=1,
        maxLength=LONGEST_KEY,
    ),
    "Prefer": _header("`wait=N` waits up to N seconds, 30 at most, for the job to end.", examples=["wait=10"]),
    "If-None-Match": _header("The `ETag` of an earlier response, or a list of several."),
    "Last-Event-ID": _header("The `id` of the last event received; browsers send it when they reconnect."),
}
CONDITIONAL = ("getReport", "getPreview", "getPhotograph", "listModels", "listLayers", "listPresets")
TAKEN_HEADERS = {
    "submitJob": ("Idempotency-Key", "Prefer"),
    "getJob": ("Prefer", "If-None-Match"),
    "followJob": ("Last-Event-ID",),
    **dict.fromkeys(CONDITIONAL, ("If-None-Match",)),
}
RETURNED_HEADERS = {
    ("submitJob", "200"): ("Location", "ETag", "Idempotency-Replayed", "Preference-Applied"),
    ("submitJob", "202"): ("Location", "ETag", "Retry-After", "Idempotency-Replayed", "Preference-Applied"),
    ("getJob", "200"): ("ETag", "Retry-After", "Preference-Applied"),
    ("getJob", "304"): ("ETag",),
    **{(operation, status): ("ETag",) for operation in CONDITIONAL for status in ("200", "304")},
    ("getInput", "303"): ("Location",),
    ("getResult", "303"): ("Location",),
}
