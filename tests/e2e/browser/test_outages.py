"""The page and a server that comes and goes."""

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import steps


@pytest.fixture
def restart_api(stack):
    """Ends the API when called; it runs again afterwards in any case."""

    def restart():
        stack.start_component("api")

    yield restart
    if "api" in stack.dead():
        stack.start_component("api")


def test_a_watched_dream_goes_on_after_the_api_restarts(page, stack, photograph, restart_api):
    steps.add(page, photograph)
    steps.set_exactly(page, "Depth", 1000)
    steps.set_exactly(page, "Octaves", 2)
    steps.start(page)
    steps.await_state(page, "Dreaming")

    stack.kill_component("api")
    expect(page.get_by_text("The connection is lost")).to_be_visible()
    restart_api()

    expect(page.get_by_text("The connection is lost")).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")


def test_a_submission_while_the_api_is_away_says_so_and_loses_nothing(page, stack, photograph, restart_api):
    steps.add(page, photograph)
    steps.keep_it_short(page)
    stack.kill_component("api")

    page.get_by_role("button", name="Start dreaming").click()
    expect(page.get_by_role("alert")).to_contain_text("can't be reached")
    restart_api()

    steps.start(page)
    steps.await_state(page, "Done")
