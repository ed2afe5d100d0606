"""Masks, guides and the layer explorer."""

import io

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.browser import steps


def pixels(content):
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"), np.int16)


def test_only_the_painted_area_is_dreamed(page, stack, client, photograph):
    # given a mask painted over the left part
    steps.add(page, photograph)
    page.get_by_role("button", name="Dream a part").click()
    box = page.locator("canvas.mask").bounding_box()
    x, top = box["x"] + box["width"] * 0.15, box["y"]
    page.mouse.move(x, top + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(x, top + box["height"] * 0.8, steps=6)
    page.mouse.up()
    page.get_by_role("button", name="Done").click()
    steps.make_it_short(page)

    # when
    steps.start(page)
    steps.await_state(page, "Done")

    # then
    job_id = page.url.rsplit("/", 1)[-1]
    dream = httpx.get(f"{stack.api_url}/v1/jobs/{job_id}/result", follow_redirects=True).content
    change = np.abs(pixels(dream) - pixels(photograph.read_bytes()))
    assert change[60:90, 10:40].mean() > 0.5
    assert change[:, 120:].max() == 0
    # and "Dream again" restores the mask
    page.get_by_role("button", name="Dream again").click()
    expect(page.get_by_role("button", name="Edit the mask")).to_be_visible()


def test_where_nothing_is_painted_the_whole_picture_is_dreamed(page, client, photograph):
    steps.add(page, photograph)
    steps.make_it_short(page)
    page.get_by_role("button", name="Dream a part").click()

    steps.start(page)
    steps.await_state(page, "Done")

    assert client.get(page.url.rsplit("/", 1)[-1]).links.mask is None


def test_a_mask_can_be_painted_with_the_keyboard(page, photograph):
    steps.add(page, photograph)
    page.get_by_role("button", name="Dream a part").press("Enter")

    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Done").press("Enter")

    expect(page.get_by_role("button", name="Edit the mask")).to_be_visible()


def test_a_guide_is_submitted_with_the_photograph(page, stack, photograph):
    steps.add(page, photograph)
    page.get_by_label("Guide image").set_input_files(photograph)
    steps.make_it_short(page)

    steps.start(page)
    steps.await_state(page, "Done")

    job = httpx.get(f"{stack.api_url}/v1/jobs/{page.url.rsplit('/', 1)[-1]}").json()
    assert job["links"]["guide"]


def test_a_channel_is_chosen_from_the_feature_maps_of_a_layer(open_page):
    page = open_page("/layers")
    page.get_by_role("radio", name="block5_expand").check(force=True)
    page.get_by_role("button", name="Show feature maps").click()

    cell = page.get_by_role("link", name="Dream channel").first
    expect(cell).to_be_visible()
    channel = cell.get_attribute("aria-label").rsplit(" ", 1)[-1]
    cell.click()

    expect(page.get_by_label("Channels")).to_have_value(channel)
    expect(page.get_by_label("Layer", exact=True)).to_have_value("block5_expand")
    expect(page.locator(".photo-frame img")).to_be_visible()


def test_layers_are_computed_on_demand_only_and_stay_out_of_the_gallery(open_page, client):
    page = open_page("/layers")
    before = len(client.list_jobs(kind="feature_maps").jobs)
    page.get_by_role("radio", name="block4_expand").check(force=True)
    page.get_by_role("button", name="Show feature maps").click()
    expect(page.get_by_role("link", name="Dream channel").first).to_be_visible()
    page.get_by_role("radio", name="block3_expand").check(force=True)
    expect(page.get_by_role("button", name="Show feature maps")).to_be_visible()

    jobs = client.list_jobs(kind="feature_maps").jobs
    assert (len(jobs), jobs[0].priority) == (before + 1, "low")
    page.get_by_label("Network").select_option("inception5h")
    expect(page.get_by_text("The layers of inception5h can be shown once")).to_be_visible()
    expect(page.get_by_role("button", name="Show feature maps")).to_have_count(0)
    page.goto("/gallery")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    expect(page.get_by_role("link", name="Feature maps")).to_have_count(0)


def test_looks_that_no_worker_can_run_are_paler_and_not_among_the_first(page):
    expect(page.locator(".looks-field > .looks input").first).to_be_visible()
    expect(page.locator(".looks-field > .looks input[value='googlenet-dogs']")).to_have_count(0)

    page.get_by_text("and the classic recipes").click()

    expect(page.locator(".unserved", has_text="Dogs")).to_be_visible()
    expect(page.locator(".pill.unserved", has_text="Animals (Inception)")).to_be_visible()


def test_a_job_for_a_network_that_no_worker_serves_says_so_while_it_waits(page, photograph):
    steps.add(page, photograph)
    page.get_by_text("and the classic recipes").click()
    page.get_by_role("radio", name="Google, 2015", exact=True).check(force=True)
    expect(page.locator(".network-note")).to_contain_text("is not here yet")
    expect(page.get_by_role("button", name="Fetch it now")).to_be_visible()
    expect(page.locator(".estimate")).to_contain_text("It will wait")

    steps.start(page)

    expect(page.locator(".progress-panel")).to_contain_text("googlenet")
    expect(page.locator(".progress-panel").get_by_role("button", name="Fetch it now")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")
    expect(page.get_by_text("Stopped before it began")).to_be_visible()
