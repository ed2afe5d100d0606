"""Fixtures: the web page in headless Chromium, on the real stack."""

import os
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.waiting import patience_s

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Messages of the browser itself for error responses and outages, which the page handles.
EXPECTED = ("Failed to load resource",)


@pytest.fixture(scope="module")
def chromium():
    """Starts a browser per module: Playwright's event loop, while it runs, bars every other one from this thread."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        message = "Chromium is not installed, so the page was not tested: apt-get install chromium."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, stack):
    """Opens pages; errors of scripts and violations of the content security policy fail the test."""
    contexts, errors = [], []
    expect.set_options(timeout=1000 * patience_s())

    def record(message):
        if message.type == "error" and not message.text.startswith(EXPECTED):
            errors.append(message.text)

    def open_(path="/", *, width=1280, height=860, at=None, **options):
        context = chromium.new_context(
            base_url=at or stack.api_url, viewport={"width": width, "height": height}, **options
        )
        contexts.append(context)
        context.set_default_timeout(1000 * patience_s())
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", record)
        page.goto(path)
        page.wait_for_selector("main h1", state="attached")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(open_page):
    return open_page()
