import pytest

DOCUMENTS = ["/v1/models", "/v1/models/efficientnet-lite0/layers", "/v1/presets", "/openapi.json"]


@pytest.mark.parametrize("address", DOCUMENTS)
@pytest.mark.parametrize("known", ["{tag}", "W/{tag}", '"other", {tag}', "*"])
def test_a_document_that_has_not_changed_is_an_empty_304(http, address, known):
    first = http.get(address)

    second = http.get(address, headers={"If-None-Match": known.format(tag=first.headers["ETag"])})

    assert first.headers["Cache-Control"] == "no-cache"
    assert (second.status_code, second.data, second.headers["ETag"]) == (304, b"", first.headers["ETag"])


@pytest.mark.parametrize("address", DOCUMENTS)
def test_another_etag_gets_the_document(http, address):
    assert http.get(address, headers={"If-None-Match": '"other"'}).json == http.get(address).json


def test_an_error_has_no_etag(http):
    answer = http.get("/v1/models/other/layers")

    assert answer.status_code == 404
    assert "ETag" not in answer.headers
