"""The OpenAPI document: what the routes' own declarations can't say about themselves, filled in.

`python -m tools.openapi` writes it to api/openapi.json.
"""

import inspect
import json
import re
from collections.abc import Sequence
from typing import Any

from apiflask import APIFlask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.http import openapi_examples
from api.jobs.request_parsing import FILES, LONGEST_KEY
from api.schemas import account_views, job_view, network_views, problem, requests, status_views
from api.schemas.requests import FeatureMapsForm, FeatureMapsRequest, JobForm, JobRequest
from shared.s3 import object_keys

SCHEMAS = "#/components/schemas/"
JSON = "application/json"
PROBLEM = {"application/problem+json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
JOB_ID = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
LOG_IN: list[dict[str, list[str]]] = [{"key": []}, {"session": []}]
NO_LOG_IN = {"/v1/session"}
NOT_SHOWN = {"View", "ListQuery", "JobForm", "FeatureMapsForm", "JobOptions", "JobSketch"}
IDEMPOTENCY_DAYS = round(object_keys.IDEMPOTENCY_KEPT_S / object_keys.DAY_S)
REFUSALS = {"401": "No key, or not a valid one.", "403": "Refused.", "429": "Too many requests.", "503": "Away."}


def _header(description: str, **schema: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON schema
    return {"description": description, "schema": {"type": "string", **schema}}


HEADERS = {
    "RateLimit": _header("What is left of the limit, and for how many seconds it counts."),
    "RateLimit-Policy": _header("The limit: requests, and the seconds of its window."),
    "Retry-After": _header("Seconds until it is worth asking again."),
    "ETag": _header("This version of the job; send it back as `If-None-Match`."),
    "Location": _header("Where it is.", format="uri-reference"),
    "Idempotency-Replayed": _header("Whether this is the answer to an earlier request.", enum=["true", "false"]),
    "Preference-Applied": _header("The preference that was heeded."),
}
ASKED = {
    "Idempotency-Key": _header(
        f"Makes the request safe to repeat for {IDEMPOTENCY_DAYS} days: any text.", minLength=1, maxLength=LONGEST_KEY
    ),
    "Prefer": _header("`wait=N` waits up to N seconds for the job's end, 30 at most.", examples=["wait=10"]),
    "If-None-Match": _header("The `ETag` of an earlier answer."),
    "Last-Event-ID": _header("The last event's `id`; browsers send it when they reconnect."),
}
TAKES = {
    "submitJob": ("Idempotency-Key", "Prefer"),
    "getJob": ("Prefer", "If-None-Match"),
    "followJob": ("Last-Event-ID",),
    "getReport": ("If-None-Match",),
    "getPreview": ("If-None-Match",),
}
BODIES = {"createKey": "KeyRequest", "logIn": "SessionRequest", "createUpload": "UploadRequest"}
GIVES = {
    ("submitJob", "200"): ("Location", "ETag", "Idempotency-Replayed", "Preference-Applied"),
    ("submitJob", "202"): ("Location", "ETag", "Retry-After", "Idempotency-Replayed", "Preference-Applied"),
    ("getJob", "200"): ("ETag", "Retry-After", "Preference-Applied"),
    ("getJob", "304"): ("ETag",),
    ("getInput", "303"): ("Location",),
    ("getResult", "303"): ("Location",),
}


def install(app: APIFlask) -> None:
    app.config["DESCRIPTION"] = "DeepDream as a service: submit a photograph, follow the job, fetch the dream."
    app.config["AUTO_404_RESPONSE"] = False
    app.config["AUTO_VALIDATION_ERROR_RESPONSE"] = False
    app.config["AUTO_SERVERS"] = False
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.spec_processor(lambda spec: complete(spec, _docstrings(app)) if isinstance(spec, dict) else spec)


def _docstrings(app: APIFlask) -> dict[tuple[str, str], str]:
    """What the routes say of themselves, by path and method."""
    return {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower()): inspect.getdoc(
            app.view_functions[rule.endpoint]
        )
        or ""
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }


def complete(spec: dict[str, Any], docstrings: dict[tuple[str, str], str]) -> dict[str, Any]:
    """The finished document."""
    spec["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    spec["paths"] = dict(sorted(spec["paths"].items()))
    submission = spec["paths"]["/v1/jobs"]["post"]
    submission["responses"]["200"] = {**submission["responses"]["202"], "description": "Accepted, and ended meanwhile."}
    submission["requestBody"] = _submission()
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            operation["description"] = docstrings[path, method]
            _finish(path, operation)
    for path, content in (("report", JSON), ("preview", "image/jpeg")):
        answers = spec["paths"][f"/v1/jobs/{{job_id}}/{path}"]["get"]["responses"]
        shape: dict[str, Any] = {} if content == "image/jpeg" else {"type": "object"}
        answers["200"] = {"description": "Here it is.", "content": {content: {"schema": shape}}}
        answers["304"] = {"description": "Nothing changed since that ETag."}
    ready = spec["paths"]["/readyz"]["get"]["responses"]
    ready["503"]["content"] = ready["200"]["content"]
    spec["components"] = {
        "schemas": _schemas(),
        "headers": HEADERS,
        "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key. Off by default on loopback."},
            "session": {"type": "apiKey", "in": "cookie", "name": "dream_session", "description": "The page's log-in."},
        },
    }
    finished: dict[str, Any] = _plain_names(spec)
    return finished


def _finish(path: str, operation: dict[str, Any]) -> None:
    name = operation.setdefault("operationId", f"get{path.strip('/').title()}")
    if path.startswith("/v1/"):
        if path not in NO_LOG_IN:
            operation["security"] = LOG_IN
        for status, why in REFUSALS.items():
            operation["responses"].setdefault(status, {"description": why})
    _finish_parameters(operation.setdefault("parameters", []), TAKES.get(name, ()))
    if name in BODIES:
        shape = {"$ref": f"{SCHEMAS}{BODIES[name]}"}
        operation["requestBody"] = {"required": name != "createUpload", "content": {JSON: {"schema": shape}}}
    if name in openapi_examples.REQUESTS:
        for content in operation["requestBody"]["content"].values():
            content.setdefault(
                "examples", {key: {"value": value} for key, value in openapi_examples.REQUESTS[name].items()}
            )
    for status, response in sorted(operation["responses"].items()):
        _finish_response(response, status, (name, status), versioned=path.startswith("/v1/"))
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _finish_parameters(parameters: list[dict[str, Any]], headers: Sequence[str]) -> None:
    for parameter in parameters:
        if parameter["name"] == "job_id":
            parameter["schema"] |= {"pattern": JOB_ID}
        if parameter["name"] == "octave":
            parameter["schema"] = {"type": "integer", "minimum": 0, "maximum": 99}
        if "anyOf" in parameter["schema"]:  # an address has no null: what is not asked for is left out
            parameter["description"] = parameter["schema"]["description"]
            parameter["schema"] = parameter["schema"]["anyOf"][0]
        if parameter["schema"].get("type") == "array":
            parameter |= {"style": "form", "explode": False}
            parameter["schema"].pop("uniqueItems", None)  # naming a state twice does no harm
    parameters += [{"name": header, "in": "header", **ASKED[header]} for header in headers]


def _finish_response(response: dict[str, Any], status: str, key: tuple[str, str], *, versioned: bool) -> None:
    if status >= "400":
        response["content"] = PROBLEM
    names = [*GIVES.get(key, ()), *(("RateLimit", "RateLimit-Policy") if versioned and status < "400" else ())]
    names += ["Retry-After"] if status in {"429", "503"} and versioned else []
    if names:
        response["headers"] = {header: {"$ref": f"#/components/headers/{header}"} for header in names}


def _submission() -> dict[str, Any]:
    forms = [_form(form) for form in (JobForm, FeatureMapsForm)]
    records = [{"$ref": f"{SCHEMAS}{record.__name__}"} for record in (JobRequest, FeatureMapsRequest)]
    encoding = {"params": {"contentType": JSON}}
    named = {name: {"value": value} for name, value in openapi_examples.SUBMISSION.items()}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"oneOf": forms}, "encoding": encoding},
            JSON: {"schema": {"oneOf": records}, "examples": named},
        },
    }


def _form(record: type[BaseModel]) -> dict[str, Any]:
    """A form with files, which pydantic knows nothing of, and with parameters as they are before they become text."""
    _, defined = models_json_schema([(record, "validation")], ref_template=SCHEMAS + "{model}")
    form: dict[str, Any] = defined["$defs"][record.__name__]
    allowed = FILES if record is JobForm else FILES[:1]
    files = {
        name: {"type": "string", "format": "binary", "description": "A PNG, JPEG or WebP file."} for name in allowed
    }
    for field in form["properties"].values():
        if "anyOf" in field:  # a form has no null: what is not wanted is left out
            field.update(field.pop("anyOf")[0])
            field.pop("default", None)
    form["properties"] = {**files, **form["properties"]}
    form["required"] = ["image", *form.get("required", [])]
    return _of_its_kind(form)


def _of_its_kind(record: dict[str, Any]) -> dict[str, Any]:
    """A submission says by its kind which parameters it has."""
    maps = "FeatureMaps" in json.dumps(record["properties"]["params"])
    if maps:
        record["required"] = ["kind", *record["required"]]
        record["properties"]["kind"].pop("default")
        for without in ("guide", "mask"):
            record["properties"].pop(without, None)
    record["properties"]["kind"]["enum"] = ["feature_maps" if maps else "dream"]
    return record


def _schemas() -> dict[str, Any]:
    """Every record of the interface, and what is nested in it, each once and under its own name."""
    records = [
        record
        for module in (requests, job_view, network_views, account_views, status_views, problem)
        for record in vars(module).values()
        if isinstance(record, type) and issubclass(record, BaseModel) and record.__module__ == module.__name__
    ]
    mode: Any = "validation"
    _, defined = models_json_schema([(record, mode) for record in records], ref_template=SCHEMAS + "{model}")
    found: dict[str, Any] = defined["$defs"]
    for name in ("JobRequest", "FeatureMapsRequest"):
        _of_its_kind(found[name])
    for name, example in openapi_examples.RECORDS.items():
        found[name]["examples"] = [example]
    return {name: found[name] for name in sorted(found) if name not in NOT_SHOWN}


def _plain_names(node: Any) -> Any:  # noqa: ANN401 - JSON
    """APIFlask registers what is nested in a record once per record, as `JobPage.JobView`."""
    if isinstance(node, dict):
        return {
            key: f"{SCHEMAS}{value.removeprefix(SCHEMAS).rsplit('.', 1)[-1]}"
            if key == "$ref" and value.startswith(SCHEMAS)
            else _plain_names(value)
            for key, value in node.items()
        }
    return [_plain_names(item) for item in node] if isinstance(node, list) else node
