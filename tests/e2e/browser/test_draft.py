"""The composition survives, keeps its look, and is sent once."""

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Error, expect

from tests.e2e.browser import steps
from tests.waiting import wait_until

STORED = """() => new Promise((done) => {
  const opening = indexedDB.open("dreamqueue");
  opening.onsuccess = () => {
    if (!opening.result.objectStoreNames.contains("drafts")) return done(false);
    const asked = opening.result.transaction("drafts").objectStore("drafts").get("composer");
    asked.onsuccess = () => {
      opening.result.close();
      done(Boolean(asked.result?.photos[0]?.mask?.size > 1000 && asked.result.guide));  // a blank mask is smaller
    };
  };
})"""


@pytest.fixture
def hang(page):
    """Leaves the first request to an address without an answer, or with `always` every one until it is unrouted."""
    held = []

    def hang_(addresses, first=lambda route: None, *, always=False):
        def hold(route):
            if held and not always:
                route.continue_()
                return
            held.append(route)
            first(route)

        page.route(addresses, hold)
        return lambda: page.unroute(addresses, hold)

    yield hang_
    for route in held:
        with suppress(Error):  # the page has given it up
            route.abort()


def chosen(page, look):
    return page.get_by_role("radio", name=look)


def test_the_draft_survives_a_reload_and_going_back_after_the_start(page, photograph):
    # given a composition with a look, a depth, a guide and a mask
    steps.add(page, photograph)
    chosen(page, "Folds").check()
    steps.make_it_short(page)
    page.get_by_label("Guide image").set_input_files(photograph)
    page.get_by_role("button", name="Dream a part").press("Enter")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Done").press("Enter")
    wait_until(lambda: page.evaluate(STORED), what="storing the draft")

    # then
    page.reload()
    assert_composed(page)
    steps.start(page)
    steps.await_state(page, "Done")
    page.go_back()
    assert_composed(page)
    # and the next photograph replaces the one that was sent
    steps.add(page, photograph)
    expect(page.get_by_role("button", name="Start dreaming")).to_be_visible()


def assert_composed(page):
    expect(page.locator(".photo-facts")).to_contain_text("chelsea.png")
    expect(chosen(page, "Folds")).to_be_checked()
    expect(page.get_by_label("Depth, exact")).to_have_value("2")
    expect(page.get_by_role("button", name="Edit the mask")).to_be_visible()
    expect(page.get_by_alt_text("The guide")).to_be_visible()


def test_a_dream_keeps_its_look_when_it_is_changed_and_dreamed_again(page, client, photograph):
    steps.add(page, photograph)
    chosen(page, "Woven").check()
    steps.set_exactly(page, "Depth", 13)
    expect(page.get_by_text("Woven, deeper")).to_be_visible()
    page.get_by_role("button", name="Undo the changes").click()
    expect(page.get_by_label("Depth, exact")).to_have_value("12")
    steps.set_exactly(page, "Depth", 2)
    steps.start(page)
    expect(page.get_by_role("heading", name="chelsea · Woven, shallower")).to_be_visible()
    steps.await_state(page, "Done")
    job = client.get(page.url.rsplit("/", 1)[-1])
    assert (job.preset, job.changed) == ("woven", ("iterations",))

    page.get_by_role("button", name="Change and dream again").click()
    expect(chosen(page, "Woven")).to_be_checked()
    expect(page.get_by_text("Woven, shallower")).to_be_visible()


def test_parameters_that_a_look_leaves_alone_show_their_defaults(page):
    chosen(page, "Eyes").check()
    steps.open_expert(page)

    expect(page.get_by_label("Octaves, exact")).to_have_value("5")
    expect(page.get_by_label("Strength, exact")).to_have_value("1")
    expect(page.get_by_role("radio", name="Near")).to_be_checked()
    # and the values in use are no difference
    steps.set_exactly(page, "Octaves", 5)
    expect(page.get_by_text("Undo the changes")).to_be_hidden()


def test_a_picture_twice_as_large_and_the_same_dream_on_another_photograph(page, client, photograph):
    steps.add(page, photograph)
    steps.make_it_short(page)
    page.get_by_role("radio", name="Double").check(force=True)
    expect(page.locator("[data-path='params.scale']")).to_contain_text(re.compile("400 . 300 pixels"))
    steps.start(page)
    steps.await_state(page, "Done")
    first = client.get(page.url.rsplit("/", 1)[-1])
    assert first.params.scale == 2

    page.get_by_role("button", name="Same dream, another photograph").click()
    steps.add(page, photograph)
    steps.start(page)
    steps.await_state(page, "Done")
    assert client.get(page.url.rsplit("/", 1)[-1]).params == first.params


def test_a_sample_leaves_the_keyboard_where_the_work_goes_on(page):
    page.get_by_role("button", name="Use the sample: A cat").press("Enter")
    expect(page.get_by_role("button", name="Dream a part")).to_be_focused()


def test_an_unknown_address_is_explained(page):
    page.goto("/nowhere")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()


def test_a_server_that_hangs_is_noticed_and_a_second_try_makes_one_job(page, client, photograph, hang):
    # given a server that takes the submission and does not answer
    steps.add(page, photograph)
    steps.make_it_short(page)
    before = len(client.list_jobs().jobs)
    hang("**/v1/jobs", lambda route: route.fetch())
    page.get_by_role("button", name="Start dreaming").click()
    expect(page.get_by_role("alert").filter(has_text="has not answered for 10 seconds")).to_be_visible()

    # when
    page.get_by_role("button", name="Try again").click()

    # then
    page.wait_for_url("**/jobs/*")
    steps.await_state(page, "Done")
    assert len(client.list_jobs().jobs) == before + 1


def test_a_server_that_hangs_while_a_dream_is_watched_is_noticed(page, photograph, hang):
    steps.add(page, photograph)
    steps.set_exactly(page, "Depth", 900)
    steps.start(page)
    steps.await_state(page, "Dreaming")
    release = hang(re.compile(r"/v1/jobs/[^/]+(/events)?$"), always=True)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # closes the stream
    expect(page.get_by_text("The server does not answer")).to_be_visible()

    page.get_by_role("button", name="Try again").click()
    release()
    expect(page.get_by_text("The server does not answer")).to_be_hidden()
    steps.await_state(page, "Dreaming")
    page.get_by_role("button", name="Cancel").click()
    steps.await_state(page, "Canceled")


def test_a_server_that_hangs_while_a_view_loads_is_noticed(page, hang):
    hang(re.compile(r"/v1/jobs\?"))
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()

    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()


TIME_LEFT = """async (reports) => {
  const base = document.querySelector("script[type=module]").src.replace("app.js", "");
  const {timeLeft} = await import(base + "jobs/time-left.js");
  let now = 0;
  const left = timeLeft(() => now);
  return reports.map(([at, fraction, eta_seconds, eta_low_seconds, eta_high_seconds]) => {
    now = at;
    return left({fraction, eta_seconds, eta_low_seconds, eta_high_seconds});
  });
}"""


def test_the_time_left_is_a_range_at_first_and_then_falls(page):
    reports = [
        *([0, 0.01, 59, 30, 120], [2, 0.03, 50, 35, 100], [5, 0.08, 52, 40, 80], [12, 0.2, 47, 41, 54]),
        *([16, 0.25, 46, 40, 53], [24, 0.4, 34, 29, 39], [40, 0.7, 20, 17, 23], [55, 0.97, 2, 1.7, 2.3]),
    ]

    said = page.evaluate(TIME_LEFT, reports)

    seconds = [int(number) for text in said[3:] for number in re.findall(r"\d+", text)]
    assert re.match(r"\d+ to \d+ (s|min) left", said[0])
    assert re.match(r"\d+ to \d+ (s|min) left", said[2])
    assert "to" not in said[3]
    assert seconds == sorted(seconds, reverse=True)


def test_a_time_left_that_was_far_off_is_corrected_before_a_short_dream_ends(page):
    # as reported of a dream of 13 s with a guide
    reports = [[5.5, 0.112, 26.1, 17.4, 39], [11.4, 0.676, 6.3, 4.2, 9.4], [13.3, 0.939, 0.9, 0.6, 1.4]]

    assert page.evaluate(TIME_LEFT, reports)[-1] == "about 2 s left"
