"""Log-in and log-out on a server that requires keys."""

import secrets

import httpx
import pytest
from playwright.sync_api import expect

from deploy.local import components
from deploy.local.embedded_services import StackState
from deploy.local.process import Child
from tests.e2e.browser import steps
from tests.waiting import wait_until

ADMIN_KEY = "an-admin-key-for-tests-only-000000"


@pytest.fixture(scope="module")
def private(stack, tmp_path_factory):
    """The address of a second API on the same Redis and S3, which requires keys."""
    port = StackState().port("api")
    env = {**components.environment(stack.settings), "DREAM_KEYS": "on", "DREAM_ADMIN_KEY": ADMIN_KEY}
    api = Child(components.api(port, env), tmp_path_factory.mktemp("private") / "api.log")
    try:
        api.wait_until_ready()
        yield f"http://127.0.0.1:{port}"
    finally:
        api.stop()


@pytest.fixture
def key(private):
    created = httpx.post(
        f"{private}/v1/keys",
        json={"owner": f"ada-{secrets.token_hex(4)}", "name": "a test"},
        headers={"Authorization": f"Bearer {ADMIN_KEY}"},
    )
    return created.raise_for_status().json()["key"]


def test_a_user_logs_in_submits_a_job_and_logs_out(open_page, private, key, photograph):
    page = open_page("/gallery", at=private)
    page.wait_for_url("**/login**")

    page.get_by_label("Your key").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("[data-path=key] .field-error")).to_contain_text("not valid")
    page.get_by_label("Your key").fill(key)
    page.get_by_role("button", name="Log in").click()

    page.wait_for_url("**/gallery")
    expect(page.get_by_text("No dreams yet")).to_be_visible()
    page.get_by_role("link", name="Start the first one").click()
    steps.dream(page, photograph)
    expect(page.get_by_alt_text("The dream")).to_be_visible()

    # when the user logs out while a change of the draft is still to be stored
    page.go_back()
    held = []

    def hold(route):
        held.append(route)
        if len(held) > 1:
            route.continue_()

    page.route("**/login", hold)
    page.get_by_label("Depth, exact").fill("3")
    page.get_by_role("button", name="Log out").click(no_wait_after=True)  # it would wait for what is held
    wait_until(lambda: page.wait_for_timeout(100) or held, what="leaving the page")
    page.wait_for_timeout(1000)  # longer than the draft waits
    held[0].continue_()

    page.wait_for_url("**/login")
    page.goto("/gallery")
    page.wait_for_url("**/login**")
    # then it leaves no photograph in the browser
    page.get_by_label("Your key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/gallery")
    page.goto("/")
    expect(page.get_by_role("button", name="Choose photographs")).to_be_visible()
