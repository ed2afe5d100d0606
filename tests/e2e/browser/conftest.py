"""The page in headless Chromium, on the real stack."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE_MS = 20_000
# What the browser itself writes when an answer is a refusal or the server is away; the page shows those to people.
EXPECTED = ("Failed to load resource",)


def pytest_collection_modifyitems(items):
    for item in items:
        if "e2e/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        says = "There is no Chromium here, so the page was not tried in a browser: apt-get install chromium."
        if os.environ.get("CI"):
            pytest.fail(says)
        pytest.skip(says)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, stack):
    """Opens pages; what scripts or the Content-Security-Policy complain of fails the test."""
    contexts, complaints = [], []

    def hear(message):
        if message.type == "error" and not message.text.startswith(EXPECTED):
            complaints.append(message.text)

    def open_(path="/", *, width=1280, height=860, at=None, **options):
        context = chromium.new_context(
            base_url=at or stack.api_url, viewport={"width": width, "height": height}, **options
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", hear)
        page.goto(path)
        page.wait_for_selector("main h1", state="attached")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page):
    return open_page()
