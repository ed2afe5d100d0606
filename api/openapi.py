"""What the routes' own declarations can't say about themselves in the OpenAPI document."""

from typing import Any

from apiflask import APIFlask
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from api.schemas import JobForm, Problem

SCHEMAS = "#/components/schemas/"
REF = SCHEMAS + "{model}"
PROBLEM = {"application/problem+json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}}


def install(app: APIFlask) -> None:
    app.config["DESCRIPTION"] = "DeepDream as a service: submit a photograph, follow the job, fetch the dream."
    app.config["AUTO_404_RESPONSE"] = False
    app.config["AUTO_VALIDATION_ERROR_RESPONSE"] = False
    app.config["AUTO_SERVERS"] = False
    app.config["AUTO_OPERATION_ID"] = True
    app.spec_processor(complete)


def complete(spec: dict[str, Any] | str) -> dict[str, Any] | str:
    """Adds the submission's body, and that every refusal is a problem."""
    if isinstance(spec, str):  # APIFlask's YAML form, which is not used here
        return spec
    spec["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    _, extra = models_json_schema([(JobForm, "validation"), (Problem, "serialization")], ref_template=REF)
    spec["components"]["schemas"].update(extra["$defs"])
    spec["paths"]["/v1/jobs"]["post"]["requestBody"] = _submission()
    for operations in spec["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400" and _is_generic(response):
                    response["content"] = PROBLEM
    ready = spec["paths"]["/readyz"]["get"]["responses"]
    ready["503"]["content"] = ready["200"]["content"]
    for unused in ("HTTPError", "ValidationError"):
        spec["components"]["schemas"].pop(unused, None)
    return spec


def _is_generic(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return schema.get("$ref") in {None, f"{SCHEMAS}HTTPError", f"{SCHEMAS}ValidationError"}


def _submission() -> dict[str, Any]:
    schema = TypeAdapter(JobForm).json_schema(ref_template=REF)
    schema.pop("$defs", None)
    schema["properties"] = {
        "image": {"type": "string", "format": "binary", "description": "A PNG, JPEG or WebP file."},
        **schema["properties"],
        "params": {"$ref": f"{SCHEMAS}DreamParams"},
    }
    schema["required"] = ["image"]
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": schema, "encoding": {"params": {"contentType": "application/json"}}}
        },
    }
