import difflib
import io
import json
import re

import jsonschema_rs
import pytest

from api.http import openapi_examples
from api.schemas.problem import Problem
from shared.jobs.job import JobState
from shared.params import DreamParams
from shared.settings import Settings
from shared.webhooks.message import MESSAGE_TYPES, WebhookMessage
from tests.fakes.job_factory import an_ended_job
from tests.fakes.pictures import a_picture
from tools import openapi as writer

ADMIN = "an-admin-key-of-some-length"
UNDOCUMENTED = {"openapi", "pages", "docs", "static"}


@pytest.fixture
def settings():
    return Settings(admin_key=ADMIN)


def _document(http):
    return http.get("/openapi.json").json


def test_the_document_is_openapi_3_1_and_lists_every_route(http, app):
    # when
    document = http.get("/openapi.json").json

    # then
    ours = (rule for rule in app.url_map.iter_rules() if rule.endpoint.split(".")[0] not in UNDOCUMENTED)
    served = {str(rule) for rule in ours}
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {re.sub(r"<(?:[^<>]+:)?(\w+)>", r"{\1}", path) for path in served}


def test_every_error_response_is_documented_as_a_problem(http):
    paths = http.get("/openapi.json").json["paths"]

    for path in set(paths) - {"/readyz"}:
        for operation in paths[path].values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], path


def test_the_submission_is_documented_as_a_form_with_files(http):
    form = _document(http)["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]

    assert {"image", "guide", "mask", "params", "kind", "priority", "deadline_s"} <= set(form["properties"])
    assert form["type"] == "object"
    assert form["required"] == ["image"]
    assert form["additionalProperties"] is False


@pytest.mark.parametrize("name", ["guide", "mask", "preset"])
def test_what_feature_maps_refuse_is_no_part_of_their_schemas(http, submit, name):
    # given
    document = _document(http)
    content = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    value = "animals" if name == "preset" else {"upload": openapi_examples.UPLOAD_ID}
    body = {"kind": "feature_maps", "image": {"upload": openapi_examples.UPLOAD_ID}}
    form = {"kind": "feature_maps", "image": "", name: "animals" if name == "preset" else ""}

    def is_valid(media_type, instance):
        schema = {**content[media_type]["schema"], "components": document["components"]}
        return jsonschema_rs.is_valid(schema, instance)

    # when, then
    assert is_valid("application/json", body)
    assert not is_valid("application/json", body | {name: value})
    assert not is_valid("multipart/form-data", form)
    assert is_valid("multipart/form-data", form | {"kind": "dream"})
    sent = "animals" if name == "preset" else (io.BytesIO(a_picture()), "x.jpg")
    refused = submit(kind="feature_maps", params='{"layer": "stem"}', **{name: sent})
    assert (refused.status_code, refused.json["path"]) == (422, name)


def test_fields_with_defaults_are_optional_in_requests(http):
    schemas = _document(http)["components"]["schemas"]

    for name in ("JobRequest", "FeatureMapsRequest", "DreamParams", "FeatureMapsParams", "Target", "UploadRequest"):
        assert not [field for field in schemas[name]["properties"].values() if "default" in field], name
    assert "Default: `normal`." in schemas["JobRequest"]["properties"]["priority"]["description"]


def test_the_page_finds_the_defaults_of_parameters(http):
    properties = _document(http)["components"]["schemas"]["DreamParams"]["properties"]

    kept = {name: field["x-default"] for name, field in properties.items() if "x-default" in field}
    assert kept == {name: value for name, value in DreamParams().model_dump(mode="json").items() if value is not None}


def test_every_operation_has_a_known_tag_and_says_whether_it_needs_a_key(http):
    document = _document(http)
    tags = [tag["name"] for tag in document["tags"]]

    assert len(set(tags)) == len(tags)
    for operations in [*document["paths"].values(), *document["webhooks"].values()]:
        for operation in operations.values():
            assert set(operation["tags"]) <= set(tags)
            assert "security" in operation
    assert document["servers"]


def test_the_webhooks_match_what_is_sent(http):
    document = _document(http)
    message = WebhookMessage.of("completed", an_ended_job(JobState.SUCCEEDED), api_url="http://dreams")

    assert set(document["webhooks"]) == set(MESSAGE_TYPES.values())
    schema = document["webhooks"]["job.completed"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate(
        {**schema, "components": document["components"]}, json.loads(message.model_dump_json()), validate_formats=True
    )


def test_every_reference_in_the_document_resolves(http):
    # given
    document = http.get("/openapi.json").json

    def references(node):
        if isinstance(node, dict):
            yield from [node["$ref"]] if "$ref" in node else []
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    # when, then
    for reference in set(references(document)):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in document["components"][kind]


@pytest.mark.slow
def test_the_committed_document_equals_the_served_one(app):
    # when
    served, committed = writer.text(app), writer.COMMITTED.read_text()

    # then
    changed = "\n".join(difflib.unified_diff(committed.splitlines(), served.splitlines(), "committed", "now", n=8))
    assert not changed, f"run `make docs` and see docs/API.md on what may change:\n{changed}"


def test_every_operation_has_a_unique_id_and_a_summary(http):
    operations = [op for ops in http.get("/openapi.json").json["paths"].values() for op in ops.values()]
    names = [operation["operationId"] for operation in operations]

    assert len(set(names)) == len(names)
    assert all(operation["summary"] for operation in operations)


def test_every_schema_is_documented_once(http):
    names = http.get("/openapi.json").json["components"]["schemas"]

    assert not [name for name in names if "." in name or "-" in name]


def test_list_parameters_are_comma_separated(http):
    parameters = {p["name"]: p for p in http.get("/openapi.json").json["paths"]["/v1/jobs"]["get"]["parameters"]}

    assert (parameters["state"]["style"], parameters["state"]["explode"]) == ("form", False)


def _examples():
    for name, example in openapi_examples.SUBMISSION.items():
        yield pytest.param("post", "/v1/jobs", example, id=name)
    for path, operation in (("/v1/uploads", "createUpload"), ("/v1/keys", "createKey"), ("/v1/session", "logIn")):
        for name, example in openapi_examples.REQUESTS[operation].items():
            yield pytest.param("post", path, example, id=f"{operation}: {name}")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "example"), list(_examples()))
def test_the_examples_work_and_their_responses_match_the_schemas(http, world, method, path, example):
    # given
    world.storage.put(f"uploads/local/{openapi_examples.UPLOAD_ID}", a_picture())
    document = http.get("/openapi.json").json

    # when
    answer = getattr(http, method)(path, json=example, headers={"Authorization": f"Bearer {ADMIN}"})

    # then
    documented = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]["application/json"]
    assert answer.status_code < 300
    jsonschema_rs.validate({**documented["schema"], "components": document["components"]}, answer.json)


def test_the_example_parameters_can_be_submitted(http):
    form = {"image": (io.BytesIO(a_picture()), "a.jpg"), "params": json.dumps(openapi_examples.RECORDS["DreamParams"])}

    assert http.post("/v1/jobs", data=form).status_code == 202
    assert Problem.model_validate(openapi_examples.RECORDS["Problem"])


def test_the_docs_page_lists_every_operation_and_runs_no_script(http):
    # when
    answer = http.get("/docs")

    # then
    for operations in http.get("/openapi.json").json["paths"].values():
        for operation in operations.values():
            assert f'id="{operation["operationId"]}"' in answer.text
    assert "<script" not in answer.text
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
