"""The page during outages of the API."""

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import steps


@pytest.fixture
def restart_api(stack):
    """Starts the API again when called, and after the test in any case."""

    def restart():
        stack.start_component("api")

    yield restart
    if "api" in stack.dead():
        stack.start_component("api")


def test_the_progress_continues_after_the_api_restarts(page, stack, photograph, restart_api):
    steps.add(page, photograph)
    steps.set_exactly(page, "Depth", 1000)
    steps.set_exactly(page, "Octaves", 2)
    steps.start(page)
    steps.await_state(page, "Dreaming")

    stack.kill_component("api")
    expect(page.get_by_text("The server does not answer")).to_be_visible()
    restart_api()

    expect(page.get_by_text("The server does not answer")).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")


def test_a_submission_during_an_outage_shows_an_error_and_can_be_repeated(page, stack, photograph, restart_api):
    steps.add(page, photograph)
    steps.make_it_short(page)
    stack.kill_component("api")

    page.get_by_role("button", name="Start dreaming").click()
    expect(page.get_by_role("alert")).to_contain_text("can't be reached")
    restart_api()

    steps.start(page)
    steps.await_state(page, "Done")
