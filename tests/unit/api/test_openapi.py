NOT_DESCRIBED = {"openapi", "pages", "docs", "static"}


def test_the_document_is_openapi_3_1_and_lists_every_route(http, app):
    # when
    document = http.get("/openapi.json").json

    # then
    ours = (rule for rule in app.url_map.iter_rules() if rule.endpoint.split(".")[0] not in NOT_DESCRIBED)
    served = {str(rule) for rule in ours}
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {path.replace("<", "{").replace(">", "}") for path in served}


def test_every_refusal_is_described_as_a_problem(http):
    paths = http.get("/openapi.json").json["paths"]

    for path in set(paths) - {"/readyz"}:
        for operation in paths[path].values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], path


def test_the_submission_is_described_as_a_form_with_a_file(http):
    body = http.get("/openapi.json").json["paths"]["/v1/jobs"]["post"]["requestBody"]
    form = body["content"]["multipart/form-data"]["schema"]

    assert form["required"] == ["image"]
    assert set(form["properties"]) == {"image", "params", "kind", "priority", "deadline_s"}
    assert form["additionalProperties"] is False


def test_every_reference_in_the_document_leads_somewhere(http):
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
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
