"""The request bodies of the OpenAPI document: the submission as a form and as JSON, and defaults of fields."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

from api.http import openapi_examples
from api.jobs.request_parsing import FILES
from api.schemas.requests import FeatureMapsRequest, JobForm, JobRequest

SCHEMAS = "#/components/schemas/"
JSON = "application/json"
DREAMS_ONLY = ("guide", "mask", "preset")  # fields that feature maps don't take
IMAGE_FILE = "A JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF or JPEG XL file; of several pictures the first one counts."
FILE_DESCRIPTIONS = {
    "image": IMAGE_FILE,
    "guide": f"The image whose features are amplified; of dreams only. {IMAGE_FILE}",
    "mask": f"White where to dream, black where not; of dreams only. {IMAGE_FILE}",
}


def submission() -> dict[str, Any]:
    """Returns the body of a submission."""
    records = [{"$ref": f"{SCHEMAS}{record.__name__}"} for record in (JobRequest, FeatureMapsRequest)]
    named = {name: {"value": value} for name, value in openapi_examples.SUBMISSION.items()}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _form(), "encoding": {"params": {"contentType": JSON}}},
            JSON: {"schema": {"anyOf": records}, "examples": named},
        },
    }


def _form() -> dict[str, Any]:
    """Returns the schema of the form: the record's fields and the files, which pydantic does not know.

    It is one object for dreams and feature maps, because generators of clients build a form from one record.
    """
    _, defined = models_json_schema([(JobForm, "validation")], ref_template=SCHEMAS + "{model}")
    form: dict[str, Any] = defined["$defs"][JobForm.__name__]
    for field in form["properties"].values():
        if "anyOf" in field:  # a form has no null; an unused field is left out
            field.update(field.pop("anyOf")[0])
    form["properties"]["params"] = {
        "anyOf": [{"$ref": f"{SCHEMAS}DreamParams"}, {"$ref": f"{SCHEMAS}FeatureMapsParams"}],
        "description": "Parameters as JSON: those of the job's `kind`.",
    }
    files = {name: {"type": "string", "format": "binary", "description": FILE_DESCRIPTIONS[name]} for name in FILES}
    form["properties"] = {**files, **form["properties"]}
    form["required"] = ["image"]
    form["description"] = "A submission with its images."
    form["dependentSchemas"] = {name: {"properties": {"kind": {"const": "dream"}}} for name in DREAMS_ONLY}
    return form


def restrict_kind(record: dict[str, Any]) -> None:
    """Restricts `kind` to the one value that matches the record's parameters, and feature maps to their fields."""
    maps = "FeatureMaps" in json.dumps(record["properties"]["params"])
    if maps:
        record["required"] = ["kind", *record["required"]]
        for name in DREAMS_ONLY:
            record["properties"].pop(name, None)
    record["properties"]["kind"]["enum"] = ["feature_maps" if maps else "dream"]


def make_defaults_optional(document: dict[str, Any]) -> None:
    """Moves the defaults of all fields of requests to `x-default`, for the page, and their descriptions, in place.

    Generators of typed clients make a field with `default` required, also where the client may leave it out.
    """
    bodies = [
        operation["requestBody"]["content"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    schemas = document["components"]["schemas"]
    seen: set[str] = set()
    pending = list(_references(bodies))
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += _references(schemas[name])
    for schema in [*(schemas[name] for name in seen), *(c["schema"] for body in bodies for c in body.values())]:
        for field in schema.get("properties", {}).values():
            if (default := field.pop("default", None)) is not None and "$ref" not in field:
                field["x-default"] = default
                shown = default if isinstance(default, str) else json.dumps(default)
                field["description"] = f"{field.get('description', '')} Default: `{shown}`.".lstrip()


def _references(node: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.removeprefix(SCHEMAS)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)
