"""Errors of the API are shown at the field that they name."""

from playwright.sync_api import expect

from tests.e2e.browser import steps


def test_a_number_out_of_range_is_explained_at_its_field(page, photograph):
    steps.add(page, photograph)
    page.get_by_text("Expert").click()
    steps.set_exactly(page, "Octave scale", 1.4)
    page.get_by_text("Expert").click()  # collapse it

    page.get_by_role("button", name="Start dreaming").click()

    field = page.locator("[data-path='params.octave_scale']")
    expect(field.get_by_text("did you mean 0.714")).to_be_visible()
    expect(page.get_by_label("Octave scale, exact")).to_be_focused()
    expect(page.get_by_label("Octave scale, exact")).to_have_attribute("aria-invalid", "true")
    expect(page).to_have_url("/")
    expect(page.get_by_role("alert").filter(has_text="Not started")).to_contain_text("did you mean 0.714")

    page.get_by_label("Octave scale, exact").fill("0.7")
    expect(field.get_by_text("did you mean")).to_be_hidden()


def test_an_unknown_channel_is_explained_with_a_suggestion(page, photograph):
    steps.add(page, photograph)
    steps.make_it_short(page)
    steps.open_expert(page)
    page.get_by_label("Channels").fill("3, 99999")

    page.get_by_role("button", name="Start dreaming").click()

    field = page.locator("[data-path='params.layers']")
    expect(field.get_by_text("there is no 99999")).to_be_visible()
    field.get_by_role("button", name="Use").click()
    steps.start(page)
    steps.await_state(page, "Done")


def test_a_file_that_is_not_an_image_is_refused_at_once(page, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("just words")

    page.locator("input#file").set_input_files(words)

    expect(page.locator("[data-path=image]").get_by_text("words.txt is not an image.")).to_be_visible()


def test_a_photograph_that_the_api_refuses_is_explained_next_to_it(page, photograph, tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes(photograph.read_bytes()[:-30])  # browsers display it nevertheless
    steps.add(page, cut)

    page.get_by_role("button", name="Start dreaming").click()

    expect(page.locator("[data-path=image] .field-error")).to_contain_text("cut off")


def test_starting_without_a_photograph_asks_for_one(page, photograph):
    page.get_by_role("button", name="Start dreaming").click()

    expect(page.get_by_text("Choose a photograph first")).to_be_visible()
    expect(page.get_by_role("button", name="Choose photographs")).to_be_focused()
    # and no longer once there is one
    expect(page.get_by_text("there is no photograph yet")).to_be_visible()
    steps.add(page, photograph)
    expect(page.get_by_text("there is no photograph yet")).to_be_hidden()
