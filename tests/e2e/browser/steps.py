"""Steps of users on the page, by visible names."""

from playwright.sync_api import expect


def add(page, *photographs):
    page.locator("input#file").set_input_files(list(photographs))
    expect(page.locator(".photo-frame img")).to_be_visible()


def open_expert(page):
    page.locator("details.expert").evaluate("details => (details.open = true)")


def set_exactly(page, name, value):
    if name not in {"Depth", "Intensity"}:
        open_expert(page)
    page.get_by_label(f"{name}, exact").fill(str(value))


def make_it_short(page):
    set_exactly(page, "Depth", 2)
    set_exactly(page, "Octaves", 1)


def start(page):
    page.get_by_role("button", name="Start dreaming").click()
    page.wait_for_url("**/jobs/*")


def await_state(page, state):
    expect(page.locator(".job-title .badge")).to_have_text(state)


def dream(page, photograph):
    """Runs one short job until it is done."""
    add(page, photograph)
    make_it_short(page)
    start(page)
    await_state(page, "Done")
