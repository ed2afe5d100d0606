"""Forms as browsers and generated clients send them, byte by byte."""

import io
import json

import pytest

from api.app import MAX_TEXT_BYTES
from api.schemas.requests import JobOptions
from tests.fakes.pictures import a_picture

PHOTO = a_picture()
END = b"\r\n--BB--\r\n"


def part(name: bytes, content: bytes, *, filename: bytes | None = None, kind: bytes | None = None) -> bytes:
    head = b'\r\n--BB\r\nContent-Disposition: form-data; name="' + name + b'"'
    head += b'; filename="' + filename + b'"' if filename is not None else b""
    head += b"\r\nContent-Type: " + kind if kind else b""
    return head + b"\r\n\r\n" + content


IMAGE = part(b"image", PHOTO, filename=b"a.jpg", kind=b"image/jpeg")


@pytest.fixture
def send(http):
    def sent(body: bytes, content_type: str = "multipart/form-data; boundary=BB"):
        # As a stream: of an empty body the test client would make a form.
        stream = io.BytesIO(body)
        return http.post("/v1/jobs", input_stream=stream, content_length=len(body), content_type=content_type)

    return sent


@pytest.mark.parametrize("kind", [None, b"application/json", b"application/octet-stream", b"text/plain; charset=utf-8"])
@pytest.mark.parametrize("filename", [None, b"blob", b"params.json", b""])
def test_params_may_be_text_or_a_blob_with_a_file_name(send, kind, filename):
    params = json.dumps({"octaves": 3}).encode()

    answer = send(IMAGE + part(b"params", params, filename=filename, kind=kind) + END)

    assert (answer.status_code, answer.json["params"]["octaves"]) == (202, 3)


def test_other_fields_may_be_blobs_too(send):
    body = IMAGE + part(b"priority", b"high", filename=b"blob") + part(b"deadline_s", b"60", filename=b"blob") + END

    assert send(body).json["priority"] == "high"


def test_a_blob_is_no_larger_than_a_text_may_be(send):
    body = IMAGE + part(b"params", b" " * (MAX_TEXT_BYTES + 1), filename=b"blob") + END

    assert send(body).status_code == 413


@pytest.mark.parametrize("bom", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("filename", [None, b"blob"])
def test_a_byte_order_mark_does_not_matter(send, http, bom, filename):
    body = IMAGE + part(b"params", bom + b'{"octaves": 3}', filename=filename) + END

    assert send(body).json["params"]["octaves"] == 3
    upload = bom + json.dumps({"size_bytes": 5}).encode()
    assert http.post("/v1/uploads", data=upload, content_type="application/json").status_code == 201


def test_a_picture_that_was_not_chosen_is_absent(send):
    nothing = {"filename": b"", "kind": b"application/octet-stream"}
    body = IMAGE + part(b"guide", b"", **nothing) + part(b"mask", b"", **nothing) + END

    answer = send(body)

    assert (answer.status_code, answer.json["guide"], answer.json["mask"]) == (202, None, None)


def test_an_empty_text_in_place_of_an_optional_picture_is_absent_too(send):
    assert send(IMAGE + part(b"guide", b"") + END).json["guide"] is None


@pytest.mark.parametrize("field", sorted(JobOptions.model_fields))
def test_an_option_that_was_left_empty_is_absent(send, field):
    assert send(IMAGE + part(field.encode(), b"") + END).status_code == 202


@pytest.mark.parametrize("filename", [None, b"blob"])
def test_empty_params_are_refused(send, filename):
    answer = send(IMAGE + part(b"params", b"", filename=filename) + END)

    assert (answer.status_code, answer.json["path"]) == (422, "params")


def test_an_empty_file_with_a_name_was_chosen_and_is_refused(send):
    answer = send(IMAGE + part(b"guide", b"", filename=b"g.jpg") + END)

    assert (answer.status_code, "The guide: The file is empty" in answer.json["detail"]) == (415, True)


def test_a_picture_that_was_not_chosen_is_missing_where_it_is_needed(send):
    answer = send(part(b"image", b"", filename=b"") + END)

    assert (answer.status_code, answer.json["path"]) == (422, "image")


@pytest.mark.parametrize(
    "filename",
    [
        "Übung.jpg".encode(),
        "Übung.jpg".encode("latin-1"),
        "写真.jpg".encode("gb18030"),
        "写真.jpg".encode("shift-jis"),
        b"\xff\xfe",
    ],
)
def test_a_file_name_in_any_encoding_is_no_obstacle(send, filename):
    assert send(part(b"image", PHOTO, filename=filename) + END).status_code == 202


@pytest.mark.parametrize(
    "events",
    [
        part(b"webhook_events", b"started") + part(b"webhook_events", b"completed"),
        part(b"webhook_events", b"started,completed"),
        part(b"webhook_events", b"started, completed"),
        part(b"webhook_events", b'["started", "completed"]', kind=b"application/json"),
        part(b"webhook_events", b'["started", "completed"]', filename=b"blob"),
    ],
)
def test_events_may_be_repeated_or_listed(send, world, events):
    answer = send(IMAGE + part(b"webhook_url", b"https://example.com/hook") + events + END)

    assert answer.status_code == 202
    manifest = json.loads(world.storage.get(f"jobs/{answer.json['id']}/manifest.json"))
    assert manifest["webhook"]["events"] == ["started", "completed"]


def test_other_fields_come_once(send):
    assert "came 2 times" in send(IMAGE + part(b"params", b"{}") * 2 + END).json["detail"]


@pytest.mark.parametrize("name", ["octaves", "layers", "format", "seed", "count"])
def test_a_parameter_outside_params_is_refused_with_the_place_where_it_belongs(send, http, name):
    by_form = send(IMAGE + part(name.encode(), b"3") + END)
    by_json = http.post("/v1/jobs", json={"image": {"upload": "x"}, name: 3})

    for answer in (by_form, by_json):
        assert (answer.status_code, answer.json["path"]) == (422, name)
        assert (answer.json["suggestion"], "`params`" in answer.json["detail"]) == (f"params.{name}", True)


@pytest.mark.parametrize(
    "sent",
    [
        part(b"octaves", b"3", filename=b"blob"),
        part(b"params[octaves]", b"3"),
        part(b"params.octaves", b"3"),
        part(b"params[octaves]", b"3", filename=b"blob"),
    ],
)
def test_so_it_is_with_other_ways_to_send_a_parameter_outside_params(send, sent):
    answer = send(IMAGE + sent + END)

    assert (answer.status_code, answer.json["suggestion"]) == (422, "params.octaves")
    assert '{"octaves": ...}' in answer.json["detail"]


def test_a_known_field_in_a_wrong_place_is_not_suggested_for_itself(send):
    answer = send(IMAGE + part(b"kind", b"feature_maps") + part(b"params", b'{"layer": "head", "octaves": 3}') + END)

    assert (answer.status_code, answer.json["detail"]) == (422, "params.octaves: unknown field 'octaves'")


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (IMAGE + END, "multipart/form-data", "names no boundary"),
        (IMAGE + END, "multipart/form-data; boundary=", "names no boundary"),
        (IMAGE + END, "multipart/form-data; boundary=CC", "boundary 'CC'"),
        (IMAGE, "multipart/form-data; boundary=BB", "ends before its last boundary"),
        (IMAGE[:-500], "multipart/form-data; boundary=BB", "ends before its last boundary"),
        (IMAGE + END[:-4], "multipart/form-data; boundary=BB", "ends before its last boundary"),
        (b"\r\n--BB\r\nContent-Dispo", "multipart/form-data; boundary=BB", "ends before its last boundary"),
        (b"", "multipart/form-data; boundary=BB", "its body is empty"),
        (b"\r\n--BB\r\nContent-Type: image/jpeg\r\n\r\nx" + END, "multipart/form-data; boundary=BB", "Disposition"),
        (b"\r\n--BB\r\nContent-Disposition: form-data\r\n\r\nx" + END, "multipart/form-data; boundary=BB", "no name"),
        (IMAGE + END, 'multipart/form-data; boundary="\xe4"', "not ASCII"),
    ],
)
def test_a_form_that_can_not_be_read_is_refused_with_the_reason(send, body, content_type, reason):
    answer = send(body, content_type)

    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
    assert answer.content_type == "application/problem+json"
    assert reason in answer.json["detail"]
