"""The web page's shell and files: content, caching and content security policy."""

import gzip
import re

import pytest

from api.routes import pages

VIEWS = ["/", "/gallery", "/layers", "/status", "/login", "/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV"]


@pytest.mark.parametrize("path", VIEWS)
def test_every_view_is_the_same_shell(http, path):
    answer = http.get(path)

    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert answer.data == http.get("/").data
    assert answer.headers["Cache-Control"] == "no-cache"


def test_the_policy_allows_no_third_party_content_and_no_inline_script(http):
    policy = dict(part.strip().split(" ", 1) for part in http.get("/").headers["Content-Security-Policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["font-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert policy["frame-ancestors"] == "'none'"


def test_the_shell_references_only_existing_files_and_has_nothing_inline(http):
    shell = http.get("/").text
    named = re.findall(r'(?:href|src)="(/web/[^"]+)"', shell)

    assert len(named) > 5
    assert all(http.get(path).status_code == 200 for path in named)
    assert not re.search(r"https?://|<style|style=|<script(?![^>]*src=)| on[a-z]+=", shell)


def test_files_are_immutable_under_their_version_and_revalidated_under_another(http):
    current, older = (http.get(f"/web/{version}/js/app.js") for version in (pages.site().version, "older"))

    assert "immutable" in current.headers["Cache-Control"]
    assert older.headers["Cache-Control"] == "no-cache"
    assert current.data == older.data
    assert http.get("/web/older/js/app.js", headers={"If-None-Match": older.headers["ETag"]}).status_code == 304


def test_text_is_compressed_on_request(http):
    plain = http.get("/web/x/css/base.css")
    packed = http.get("/web/x/css/base.css", headers={"Accept-Encoding": "gzip"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize("name", ["nothing.js", "../app.py", "%2e%2e/app.py", "index.html", "js/", ""])
def test_a_file_outside_the_page_is_not_found(http, name):
    answer = http.get(f"/web/x/{name}")

    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_an_unknown_address_answers_a_browser_with_the_page_and_a_program_with_a_problem(http):
    assert http.get("/jobs", headers=BROWSER).data == http.get("/").data
    assert http.get("/jobs", headers=BROWSER).status_code == 404
    for path, headers in (("/jobs", {}), ("/jobs", {"Accept": "*/*"}), ("/v1/x", BROWSER), ("/web/x/y.js", BROWSER)):
        answer = http.get(path, headers=headers)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json"), path


def test_every_import_between_scripts_resolves():
    files = pages.site().files
    for name, asset in files.items():
        if name.endswith(".js"):
            for target in re.findall(r'(?:from|import\(?|view\()\s*"(\.[^"]+)"', asset.body.decode()):
                path = (pages.WEB / name).parent / target
                assert path.resolve().relative_to(pages.WEB).as_posix() in files, f"{name} imports {target}"


def test_scripts_are_short_and_use_no_third_party_urls_or_html_strings():
    for name, asset in pages.site().files.items():
        text = asset.body.decode(errors="replace") if name.endswith((".js", ".css")) else ""
        assert text.count("\n") <= 260, name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), name
        assert "//" not in re.sub(r"http://www\.w3\.org/2000/svg|^\s*//.*$|\s//\s.*$|https?:", "", text, flags=re.M), (
            name
        )


def test_every_thumbnail_of_a_preset_exists(http):
    for preset in http.get("/v1/presets").json["presets"]:
        if preset["thumbnail"]:
            assert preset["thumbnail"] in pages.site().files
