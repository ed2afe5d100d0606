"""Accessibility: keyboard, phone, screen reader, and light and dark themes."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e.browser import steps

SHORT = {"octaves": 1, "iterations": 1}
VIEWS = ("/", "/gallery", "/layers", "/status", "/login")
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}


@pytest.fixture(scope="session")
def done(stack, photograph):
    """A finished job."""
    from api.client import DreamClient  # noqa: PLC0415 - not the `client` fixture, which has the scope of a test

    with DreamClient(stack.api_url) as client:
        return client.wait(client.submit(photograph, SHORT).id)


def assert_accessible(page):
    found = Axe().run(page, options=RULES).response["violations"]
    bad = [violation for violation in found if violation["impact"] in {"serious", "critical"}]
    assert not bad, json.dumps([{v["id"]: [n["html"][:160] for n in v["nodes"]]} for v in bad], indent=1)


def settled(page):
    """Waits until fonts and images are loaded."""
    page.wait_for_selector("main h1", state="attached")
    page.wait_for_load_state("networkidle") if "/jobs/" not in page.url else page.wait_for_timeout(300)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_view(open_page, done, photograph, scheme):
    page = open_page("/", color_scheme=scheme, reduced_motion="reduce")
    for path in (*VIEWS, f"/jobs/{done.id}"):
        page.goto(path)
        settled(page)
        assert_accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_composer_the_progress_and_the_dialog(open_page, photograph, scheme):
    page = open_page("/", color_scheme=scheme, reduced_motion="reduce")
    steps.add(page, photograph)
    for summary in page.locator("summary").all():
        summary.click()
    steps.set_exactly(page, "Octave scale", 2)
    page.get_by_role("button", name="Start dreaming").click()
    expect(page.locator(".field-error:visible")).to_have_count(1)
    assert_accessible(page)

    steps.set_exactly(page, "Octave scale", 0.7)
    steps.set_exactly(page, "Depth", 900)
    steps.start(page)
    steps.await_state(page, "Dreaming")
    assert_accessible(page)
    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")
    page.get_by_role("button", name="Delete").click()
    assert_accessible(page)


def test_a_job_can_be_submitted_and_downloaded_by_keyboard(page, photograph):
    def press(*keys):
        for key in keys:
            page.keyboard.press(key)

    def tab_to(locator, limit=60):
        for _ in range(limit):
            if locator.evaluate("element => element === document.activeElement"):
                return
            press("Tab")
        raise AssertionError(f"{locator} was not reached")

    page.on("filechooser", lambda _: None)  # intercept file choosers from now on
    press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    press("Enter")
    tab_to(page.get_by_role("button", name="Choose photographs"))
    with page.expect_file_chooser() as chooser:
        press("Enter")
    chooser.value.set_files(photograph)
    expect(page.locator(".photo-frame img")).to_be_visible()

    tab_to(page.get_by_role("radio", name="Animals"))
    press("ArrowRight")
    tab_to(page.get_by_label("Depth", exact=True))
    press("Home")  # one step
    tab_to(page.get_by_text("Expert"))
    press("Enter")
    tab_to(page.get_by_label("Octaves", exact=True), limit=120)
    press("Home")
    tab_to(page.get_by_role("button", name="Start dreaming"))
    press("Enter")
    page.wait_for_url("**/jobs/*")
    steps.await_state(page, "Done")

    divider = page.get_by_label("How much of the photograph is shown")
    tab_to(divider)
    press("ArrowRight", "ArrowRight")
    expect(divider).to_have_value("52")
    before = page.get_by_alt_text("The dream").evaluate("image => image.getBoundingClientRect().width")
    press("+")
    assert page.get_by_alt_text("The dream").evaluate("image => image.getBoundingClientRect().width") > before
    tab_to(page.get_by_text("Download PNG"))
    with page.expect_download():
        press("Enter")


def test_every_view_fits_a_phone(open_page, done, photograph):
    page = open_page("/", width=390, height=844, is_mobile=True, has_touch=True, device_scale_factor=2)
    steps.add(page, photograph)
    assert_fits(page)
    steps.make_it_short(page)
    page.get_by_role("button", name="Start dreaming").tap()
    page.wait_for_url("**/jobs/*")
    steps.await_state(page, "Done")
    assert_fits(page)

    for name in ("Gallery", "Layers", "Status", "Dream"):
        page.get_by_role("navigation", name="Main").get_by_role("link", name=name).tap()
        settled(page)
        assert_fits(page)


SMALL_TARGETS = """() => {
  const targets = [...document.querySelectorAll("a, button, input, select, textarea, summary, label:has(input)")];
  const small = targets.filter((target) => {
    const { width, height } = target.getBoundingClientRect();
    const inText = target.tagName === "A" && target.closest("p, li, dd, td");
    const visible = target.checkVisibility({ opacityProperty: true }) && !target.matches(".skip");
    const within = target.tagName === "INPUT" && target.closest("label");
    return visible && width > 1 && !inText && !within && Math.min(width, height) < 43.5;
  });
  return small.map((target) => target.outerHTML.slice(0, 120));
}"""


def test_fingers_find_targets_of_44_px_on_every_view(open_page, done):
    page = open_page("/", width=390, height=844, is_mobile=True, has_touch=True, device_scale_factor=2)
    for view in (*VIEWS, f"/jobs/{done.id}"):
        page.goto(view)
        settled(page)
        if view == "/":
            page.locator(".sample").first.tap()
            page.wait_for_selector(".stage.filled")
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        assert page.evaluate(SMALL_TARGETS) == [], view


def test_depth_intensity_and_size_are_in_sight_on_a_laptop(open_page):
    page = open_page("/", width=1280, height=860)
    page.locator(".sample").first.click()
    page.wait_for_selector(".stage.filled")
    page.evaluate("scrollTo(0, 0)")
    launch = page.locator(".launch").bounding_box()
    for setting in ("Depth", "Intensity", "Half"):
        box = page.get_by_text(setting, exact=True).first.bounding_box()
        assert box["y"] + box["height"] <= launch["y"], setting


def assert_fits(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_very_long_file_name_fits_a_phone(open_page, photograph, tmp_path):
    long = tmp_path / ("a-photograph-with-a-very-long-name-" * 6 + ".png")
    long.write_bytes(photograph.read_bytes())
    page = open_page("/", width=390, height=844)
    steps.dream(page, long)
    assert_fits(page)
    page.goto("/gallery")
    settled(page)
    assert_fits(page)


def test_the_chosen_theme_survives_a_reload(page):
    toggle = page.get_by_role("button", name="Theme")
    toggle.click()
    toggle.click()
    page.reload()

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
