"""Completes the OpenAPI document with what APIFlask can't derive from the routes.

`python -m tools.openapi` writes it to api/openapi.json.
"""

import inspect
import re
from collections.abc import Sequence
from typing import Any

from apiflask import APIFlask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.http import openapi_bodies, openapi_examples, openapi_webhooks
from api.http.openapi_bodies import JSON, SCHEMAS
from api.http.openapi_headers import CONDITIONAL, HEADERS, REQUEST_HEADERS, RETURNED_HEADERS, TAKEN_HEADERS
from api.schemas import account_views, job_view, network_views, problem, requests, status_views
from shared.webhooks import message

PROBLEM = {"application/problem+json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
ULID = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
AUTHENTICATED: list[dict[str, list[str]]] = [{"key": []}, {"session": []}]
TAGS = {
    "Jobs": "Submit, watch, cancel, retry and delete jobs.",
    "Outputs": "Download a job's images, report and data.",
    "Uploads": "Upload large images straight to the object storage.",
    "Models": "Networks, their layers, and presets.",
    "Webhooks": "Signed messages about jobs, as in Standard Webhooks.",
    "Session": "Log-in of the web page.",
    "Keys": "API keys; for the administrator.",
    "Health": "Checks, status and metrics for operators.",
}
BINARY = {"type": "string", "format": "binary"}
IMAGES = ("image/png", "image/jpeg", "image/webp")
INPUTS = (*IMAGES, "image/gif", "image/tiff", "image/heic", "image/avif", "image/jxl")
CONTENT = "The content; for redirecting operations, after the redirect."
CONTENTS: dict[str, tuple[Sequence[str], dict[str, Any]]] = {
    "report": ((JSON,), {"type": "object"}),
    **dict.fromkeys(("preview", "photograph"), (("image/jpeg",), BINARY)),
    "result": (IMAGES, BINARY),
    "gradients/{octave}": (("image/png",), BINARY),
    "data": (("application/octet-stream",), BINARY),
    **dict.fromkeys(("input", "guide", "mask"), (INPUTS, BINARY)),
}
UNAUTHENTICATED_PATHS = {"/v1/session"}
INTERNAL_SCHEMAS = {"View", "ListQuery", "PartsQuery", "JobForm", "FeatureMapsForm", "JobOptions", "JobSketch"}
REFUSALS = {
    "401": "The key is missing or not valid.",
    "403": "The key does not allow this.",
    "429": "Too many requests.",
    "503": "Redis or the object storage is unavailable.",
}


BODIES = {
    "createKey": "KeyRequest",
    "logIn": "SessionRequest",
    "createUpload": "UploadRequest",
    "beginUpload": "PartsRequest",
    "renameJob": "JobPatch",
    "retryJob": "RetryRequest",
}


def install(app: APIFlask) -> None:
    app.config["DESCRIPTION"] = "DeepDream as a service: submit a photograph, watch the job, download the result."
    app.config["AUTO_404_RESPONSE"] = False
    app.config["AUTO_VALIDATION_ERROR_RESPONSE"] = False
    app.config["AUTO_SERVERS"] = False
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.spec_processor(lambda spec: complete(spec, _docstrings(app)) if isinstance(spec, dict) else spec)


def _docstrings(app: APIFlask) -> dict[tuple[str, str], str]:
    """Returns the docstrings of the routes, by path and method."""
    return {
        (re.sub(r"<(?:[^<>]+:)?(\w+)>", r"{\1}", rule.rule), method.lower()): inspect.getdoc(
            app.view_functions[rule.endpoint]
        )
        or ""
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }


def complete(spec: dict[str, Any], docstrings: dict[tuple[str, str], str]) -> dict[str, Any]:
    """Completes the document that APIFlask generated, in place, and returns it."""
    spec["info"] |= {
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "contact": {"name": "The maintainers of Dreamqueue"},
    }
    spec["servers"] = [{"url": "/", "description": "The server that this document comes from."}]
    spec["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    spec["paths"] = dict(sorted(spec["paths"].items()))
    submission = spec["paths"]["/v1/jobs"]["post"]
    submission["responses"]["200"] = {**submission["responses"]["202"], "description": "Accepted, and already ended."}
    submission["requestBody"] = openapi_bodies.submission()
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            operation["description"] = docstrings[path, method]
            _complete_operation(path, operation)
    for name, (types, schema) in CONTENTS.items():
        responses = spec["paths"][f"/v1/jobs/{{job_id}}/{name}"]["get"]["responses"]
        responses["200"] = {"description": CONTENT, "content": {type_: {"schema": schema} for type_ in types}}
    ready = spec["paths"]["/readyz"]["get"]["responses"]
    ready["503"]["content"] = ready["200"]["content"]
    spec["components"] = {
        "schemas": _schemas(),
        "headers": HEADERS,
        "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key. Off by default on loopback."},
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": "dream_session",
                "description": "The session cookie of the web page.",
            },
        },
    }
    spec["webhooks"] = openapi_webhooks.webhooks()
    completed: dict[str, Any] = _unprefix_refs(spec)
    openapi_bodies.make_defaults_optional(completed)
    return completed


def _complete_operation(path: str, operation: dict[str, Any]) -> None:
    name = operation.setdefault("operationId", f"get{path.strip('/').title()}")
    is_authenticated = path.startswith("/v1/") and path not in UNAUTHENTICATED_PATHS
    operation["security"] = AUTHENTICATED if is_authenticated else []
    if not path.startswith("/v1/"):
        operation["responses"]["400"] = {"description": "The request can't be parsed."}
    else:
        for status, why in REFUSALS.items():
            operation["responses"].setdefault(status, {"description": why})
    _complete_parameters(operation.setdefault("parameters", []), TAKEN_HEADERS.get(name, ()))
    if name in CONDITIONAL:
        operation["responses"]["304"] = {"description": "Not modified since that ETag."}
    if name in BODIES:
        operation["responses"].setdefault("413", {"description": "The request is larger than this service accepts."})
        shape = {"$ref": f"{SCHEMAS}{BODIES[name]}"}
        operation["requestBody"] = {"required": name != "createUpload", "content": {JSON: {"schema": shape}}}
    if name in openapi_examples.REQUESTS:
        for content in operation["requestBody"]["content"].values():
            content.setdefault(
                "examples", {key: {"value": value} for key, value in openapi_examples.REQUESTS[name].items()}
            )
    for status, response in sorted(operation["responses"].items()):
        _complete_response(response, status, (name, status), versioned=path.startswith("/v1/"))
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _complete_parameters(parameters: list[dict[str, Any]], headers: Sequence[str]) -> None:
    for parameter in parameters:
        if parameter["name"] in {"job_id", "upload_id"}:
            parameter["schema"] |= {"pattern": ULID}
        if parameter["name"] == "octave":
            parameter["schema"] = {"type": "integer", "minimum": 0, "maximum": 99}
        if "anyOf" in parameter["schema"]:  # a query string has no null; an unused parameter is left out
            parameter["description"] = parameter["schema"]["description"]
            parameter["schema"] = parameter["schema"]["anyOf"][0]
        if parameter["schema"].get("type") == "array":
            parameter |= {"style": "form", "explode": False}
            parameter["schema"].pop("uniqueItems", None)  # a repeated state is accepted
    parameters += [{"name": header, "in": "header", **REQUEST_HEADERS[header]} for header in headers]


def _complete_response(response: dict[str, Any], status: str, key: tuple[str, str], *, versioned: bool) -> None:
    if status >= "400":
        response["content"] = PROBLEM
    elif status >= "300":
        response.pop("content", None)
    names = [
        *RETURNED_HEADERS.get(key, ()),
        *(("RateLimit", "RateLimit-Policy") if versioned and status < "400" else ()),
    ]
    names += ["Retry-After"] if status in {"429", "503"} and versioned else []
    if names:
        response["headers"] = {header: {"$ref": f"#/components/headers/{header}"} for header in names}


def _schemas() -> dict[str, Any]:
    """Returns the schemas of all records of the API and of their nested records, each once and by its own name."""
    records = [
        record
        for module in (requests, job_view, network_views, account_views, status_views, problem, message)
        for record in vars(module).values()
        if isinstance(record, type) and issubclass(record, BaseModel) and record.__module__ == module.__name__
    ]
    mode: Any = "validation"
    _, defined = models_json_schema([(record, mode) for record in records], ref_template=SCHEMAS + "{model}")
    found: dict[str, Any] = defined["$defs"]
    for name in ("JobRequest", "FeatureMapsRequest"):
        openapi_bodies.restrict_kind(found[name])
    for name, example in openapi_examples.RECORDS.items():
        found[name]["examples"] = [example]
    return {name: found[name] for name in sorted(found) if name not in INTERNAL_SCHEMAS}


def _unprefix_refs(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Replaces references such as `JobPage.JobView` by `JobView`: APIFlask registers nested schemas once per parent."""
    if isinstance(node, dict):
        return {
            key: f"{SCHEMAS}{value.removeprefix(SCHEMAS).rsplit('.', 1)[-1]}"
            if key == "$ref" and value.startswith(SCHEMAS)
            else _unprefix_refs(value)
            for key, value in node.items()
        }
    return [_unprefix_refs(item) for item in node] if isinstance(node, list) else node
