"""Canceling, resuming, retrying after a missed deadline, and deleting in another tab."""

import re

from playwright.sync_api import expect

from tests.e2e.browser import steps


def start_a_long_dream(page, photograph):
    steps.add(page, photograph)
    steps.set_exactly(page, "Depth", 900)
    steps.start(page)
    steps.await_state(page, "Dreaming")


def test_a_canceled_dream_is_resumed(page, photograph):
    start_a_long_dream(page, photograph)
    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")
    expect(page.get_by_text("What is done is kept for a day")).to_be_visible()

    page.get_by_role("button", name="Resume").click()

    steps.await_state(page, "Dreaming")
    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")


def test_canceling_much_work_asks_first(open_page, photograph):
    page = open_page()
    start_a_long_dream(page, photograph)
    address = page.url
    page.route(
        re.compile(r"/v1/jobs/[^/]+(/events)?$"),
        lambda route: route.abort() if route.request.url.endswith("/events") else answer_with_an_old_start(route),
    )
    page.goto(address)

    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep dreaming").click()
    steps.await_state(page, "Dreaming")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Stop it").click()
    steps.await_state(page, "Canceled")


def answer_with_an_old_start(route):
    response = route.fetch()
    body = re.sub(r'"started_at":"[^"]*"', '"started_at":"2020-01-01T00:00:00Z"', response.text())
    route.fulfill(response=response, body=body)


def test_a_missed_deadline_is_retried_with_another_one(page, client, photograph):
    job = client.wait(client.submit(photograph, {"octaves": 1, "iterations": 900}, deadline_s=0.5).id)
    assert job.error.code == "deadline_exceeded"
    page.goto(f"/jobs/{job.id}")

    page.get_by_label("New deadline").select_option("In one hour")
    page.get_by_role("button", name="Try again").click()

    steps.await_state(page, "Dreaming")
    assert client.get(job.id).deadline_at > job.deadline_at
    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")


def test_a_dream_that_is_deleted_in_one_tab_goes_from_the_others(page, client, photograph):
    job = client.wait(client.submit(photograph, {"octaves": 1, "iterations": 1}, name="two tabs").id)
    gallery, own = page.context.new_page(), page.context.new_page()
    gallery.goto("/gallery")
    expect(gallery.get_by_role("link", name="two tabs")).to_be_visible()
    own.goto(f"/jobs/{job.id}")
    expect(own.get_by_role("heading", name="two tabs")).to_be_visible()
    page.goto(f"/jobs/{job.id}")

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(gallery.get_by_role("link", name="two tabs")).to_have_count(0)
    own.wait_for_url("**/gallery")
