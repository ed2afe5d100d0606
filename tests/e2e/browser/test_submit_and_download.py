"""Submitting photographs and downloading, canceling, repeating and deleting dreams."""

import base64
import os
import re
import shutil

import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import expect

from shared.s3 import object_keys
from shared.s3.object_storage import S3ObjectStorage
from tests.e2e.browser import steps

DROP = """([content, name]) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, {type: "image/png"}));
  const stage = document.querySelector(".stage");
  for (const type of ["dragenter", "dragover", "drop"]) {
    stage.dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer}));
  }
}"""
PASTE = """([content, name]) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], name, {type: "image/png"}));
  document.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, cancelable: true, clipboardData}));
}"""


def test_a_dropped_photograph_becomes_a_downloaded_dream(page, photograph, tmp_path):
    # given a dropped photograph and a look
    page.evaluate(DROP, [base64.b64encode(photograph.read_bytes()).decode(), "holiday.png"])
    expect(page.locator(".photo-facts")).to_contain_text("holiday.png")
    page.get_by_role("radio", name="Folds").check()
    steps.make_it_short(page)

    # when
    steps.start(page)
    steps.await_state(page, "Done")

    # then the dream is shown with the photograph
    expect(page.get_by_role("heading", name="holiday")).to_be_visible()
    expect(page.get_by_alt_text("The dream")).to_be_visible()
    expect(page.get_by_alt_text("The photograph before")).to_be_visible()
    # and can be downloaded in each format
    for name, form in (("Download PNG", "PNG"), ("Download as JPEG", "JPEG"), ("Download as WEBP", "WEBP")):
        with page.expect_download() as download:
            page.get_by_label(name).or_(page.get_by_text(name, exact=True)).click()
        download.value.save_as(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert (picture.format, picture.size) == (form, (200, 150))
    # with its recipe
    expect(page.get_by_alt_text("Photograph of this dream")).to_be_visible()
    page.locator("summary", has_text="Recipe").click()
    expect(page.get_by_label("Recipe as JSON")).to_contain_text('"octaves": 1')
    # and is in the gallery
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("link", name="holiday")).to_be_visible()


def test_a_dream_is_renamed(page, client, photograph):
    steps.dream(page, photograph)
    job_id = page.url.rsplit("/", 1)[-1]

    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Name", exact=True).fill("  Our cat, <b>asleep</b> ")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_contain_text("Our cat, <b>asleep</b> · ")
    assert client.get(job_id).name == "Our cat, <b>asleep</b>"
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("button", name="Cancel").click()
    assert client.get(job_id).name == "Our cat, <b>asleep</b>"


def test_the_recipe_and_the_link_can_be_copied(open_page, photograph):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    steps.dream(page, photograph)

    page.locator("summary", has_text="Recipe").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_text("Recipe copied")).to_be_visible()
    assert '"layers"' in page.evaluate("navigator.clipboard.readText()")

    page.get_by_role("button", name="Copy the link").click()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_several_photographs_become_several_dreams(page, photograph, tmp_path):
    second = tmp_path / "second.png"
    second.write_bytes(photograph.read_bytes())
    page.evaluate(PASTE, [base64.b64encode(photograph.read_bytes()).decode(), "pasted.png"])
    expect(page.locator(".photo-facts")).to_contain_text("pasted.png")
    steps.add(page, second)
    steps.make_it_short(page)

    page.get_by_role("button", name="Dream 2 photographs").click()

    page.wait_for_url("**/gallery")
    for name in ("pasted", "second"):
        card = page.locator(".card", has=page.get_by_role("link", name=name))
        expect(card).to_be_visible()
        expect(card.locator(".badge")).to_be_hidden()  # done


def test_previews_and_progress_are_shown_while_a_job_runs(page, photograph):
    steps.add(page, photograph)
    steps.set_exactly(page, "Depth", 600)
    steps.set_exactly(page, "Octaves", 2)
    steps.start(page)

    expect(page.get_by_alt_text("The dream so far").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"Size \d of \d, step \d+ of 600"))).to_be_visible()
    assert int(page.get_by_role("progressbar", name="Dream progress").get_attribute("aria-valuenow")) > 0

    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")


def test_a_job_can_be_canceled_and_loaded_into_the_composer(page, photograph):
    steps.add(page, photograph)
    steps.set_exactly(page, "Depth", 900)
    steps.start(page)

    # while it runs, another one can be composed from it
    watched = page.url
    page.get_by_role("button", name="Change and dream another").click()
    expect(page.get_by_text("The other dream goes on")).to_be_visible()
    page.goto(watched)

    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")
    page.get_by_role("button", name="Dream again").click()

    expect(page.get_by_label("Depth, exact")).to_have_value("900")
    expect(page.locator(".photo-facts")).to_contain_text("chelsea.png")


def test_a_dream_is_deleted_after_a_confirmation(page, photograph):
    steps.dream(page, photograph)
    address = page.url

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page).to_have_url(address)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    page.wait_for_url("**/gallery")
    page.goto(address)
    expect(page.get_by_role("heading", name="Dream not found")).to_be_visible()


def test_the_gallery_asks_before_it_deletes_and_says_which_dream(page, client, photograph):
    job = client.wait(client.submit(photograph, {"octaves": 1, "iterations": 1}, name="to delete").id)
    page.get_by_role("link", name="Gallery").click()

    page.get_by_role("button", name=re.compile("^Delete to delete")).click()

    expect(page.get_by_role("dialog")).to_contain_text("to delete · Block 11 expand: its photograph")
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator(f".card a[href='/jobs/{job.id}']")).to_be_visible()


def test_the_gallery_has_filters_and_pages(page, client, photograph):
    for seed in range(2):
        client.wait(client.submit(photograph, {"octaves": 1, "iterations": 1, "seed": seed}).id)

    page.goto("/gallery?state=succeeded")
    expect(page.locator(".card").nth(1)).to_be_visible()
    page.get_by_role("link", name="Failed").click()
    expect(page).to_have_url(re.compile("state=failed"))


@pytest.mark.parametrize("path", ["/web/x/../app.py", "/web/x/routes/pages.py", "/web/x/nothing.js", "/jobs"])
def test_only_files_of_the_page_are_served(page, path):
    assert page.request.get(path).status == 404


def test_a_large_photograph_is_uploaded_to_the_object_storage(page, stack, tmp_path):
    noise = tmp_path / "large.png"
    Image.frombytes("RGB", (1800, 1600), os.urandom(1800 * 1600 * 3)).save(noise)  # does not compress
    sent = []
    page.on("request", lambda request: sent.append((request.method, request.url)))
    steps.add(page, noise)
    steps.make_it_short(page)

    steps.start(page)

    assert any(method == "POST" and url.startswith(stack.settings.s3_url) for method, url in sent)
    page.get_by_role("button", name="Cancel").or_(page.get_by_text("Download PNG")).first.wait_for()


@pytest.fixture
def huge(tmp_path):
    """A photograph of three parts."""
    path = tmp_path / "huge.png"
    Image.frombytes("RGB", (3400, 3400), os.urandom(3400 * 3400 * 3)).save(path, compress_level=0)
    return path


@pytest.fixture
def parts_sent(page, stack):
    """Lists the numbers of the parts that the page sends; `answers` are the storage's to part 2, then it works."""
    sent, answers = [], []

    def answer(route):
        sent.append(int(re.search(r"partNumber=(\d+)", route.request.url)[1]))
        failure = answers.pop(0) if sent[-1] == 2 and answers else None
        if failure == "cut off":
            route.abort()
        elif failure:
            route.fulfill(status=failure, headers={"Access-Control-Allow-Origin": "*"})
        else:
            route.continue_()

    page.route(lambda url: url.startswith(stack.settings.s3_url) and "partNumber=" in url, answer)
    return sent, answers


@pytest.mark.parametrize("failure", ["cut off", 503, 403])
def test_a_huge_photograph_is_uploaded_by_parts_and_only_a_part_that_failed_is_sent_again(
    page, stack, huge, parts_sent, failure
):
    sent, answers = parts_sent
    answers.append(failure)
    steps.add(page, huge)
    steps.make_it_short(page)

    steps.start(page)

    assert sent == [1, 2, 2, 3]
    job = page.url.rsplit("/", 1)[-1]
    assert S3ObjectStorage.connect(stack.settings).size(object_keys.image(job)) == huge.stat().st_size
    page.get_by_role("button", name="Cancel").or_(page.get_by_text("Download PNG")).first.wait_for()


def test_an_upload_that_failed_goes_on_where_it_was_when_it_is_started_again(page, huge, parts_sent):
    sent, answers = parts_sent
    answers.append(400)
    steps.add(page, huge)
    steps.make_it_short(page)
    page.get_by_role("button", name="Start dreaming").click()
    expect(page.get_by_text("The server returned 400").first).to_be_visible()

    steps.start(page)

    assert sent == [1, 2, 2, 3]


def heic(path):
    """A photograph as iPhones write it: Display P3, turned, with a thumbnail."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.radial_gradient("L").resize((320, 240)).convert("RGB").save(path, exif=exif.tobytes())
    return path


def tiff(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.radial_gradient("L").resize((320, 240)).convert("RGB").save(path, exif=exif)
    return path


@pytest.mark.parametrize(("make", "name", "kind"), [(heic, "IMG_0042.HEIC", "HEIC"), (tiff, "scan.tif", "TIFF")])
def test_a_photograph_that_the_browser_cannot_show_is_dreamed_all_the_same(page, tmp_path, make, name, kind):
    page.locator("input#file").set_input_files(make(tmp_path / name))

    stage = page.get_by_role("region", name="Photograph", exact=True)
    expect(stage.locator(".photo-frame .unshown")).to_contain_text(name)
    expect(stage.locator(".photo-frame .unshown")).to_contain_text(f"can't show {kind} files")
    expect(stage.locator(".photo-facts")).to_contain_text("240 \N{MULTIPLICATION SIGN} 320")
    assert stage.locator("img").count() == 0
    expect(page.get_by_role("button", name="Paint")).to_have_count(0)
    steps.make_it_short(page)
    steps.start(page)
    steps.await_state(page, "Done")
    expect(page.get_by_role("img", name="The dream")).to_be_visible()
    expect(page.get_by_role("img", name="The photograph before")).to_have_attribute("src", re.compile("/photograph$"))
    broken = "() => [...document.images].filter((one) => one.complete && !one.naturalWidth).map((one) => one.src)"
    assert page.evaluate(broken) == []
    page.goto("/gallery")
    expect(page.locator(".card img").first).to_be_visible()
    assert page.evaluate(broken) == []


def test_a_dream_has_the_name_of_its_photograph_everywhere_and_keeps_a_new_one(page, client, photograph, tmp_path):
    named = shutil.copy(photograph, tmp_path / "Müllers Katze.png")
    steps.dream(page, named)
    job = page.url.rsplit("/", 1)[-1]

    for name, file in (("Müllers Katze", "Müllers Katze-"), ("Miezi", "Miezi-")):
        if name == "Miezi":
            client.rename(job, name)
        page.goto(f"/jobs/{job}")
        expect(page.locator(".job-title h1")).to_contain_text(name)
        with page.expect_download() as download:
            page.get_by_text("Download PNG").click()
        assert download.value.suggested_filename.startswith(file)
        page.goto("/gallery")
        expect(page.locator(f".card a[href='/jobs/{job}']")).to_contain_text(name)
        assert client.get(job).name.removesuffix(".png") == name
