import io
import json
import sys

import pytest
import typer
from rich.console import Console

from api.cli import main
from api.cli.connection import REFUSED, UNAVAILABLE, UNSUCCESSFUL
from api.client import DreamClient
from shared.jobs.job import JobError, JobState
from shared.version import VERSION
from tests.fakes.pictures import a_picture

USAGE = 2


def test_status_list_and_cancel_print_the_jobs_state(dream, server, world):
    # given
    server.ends_as = None
    job_id = dream("submit", "photo.jpg")[1].strip()

    # when, then
    assert "queued" in dream("status", job_id)[1]
    assert job_id in dream("list", "--state", "queued")[1]
    assert dream("list", "--state", "failed")[1].strip() == "No jobs."
    assert "canceled" in dream("cancel", job_id)[1]


def test_models_lists_networks_and_their_layers(dream):
    assert "efficientnet-lite0" in dream("models")[1]
    assert "block11_expand (default)" in dream("models", "efficientnet-lite0")[1]
    assert dream("models", "nothing")[0] == REFUSED


def test_without_a_server_the_error_says_how_to_start_one(dream):
    code, _, err = dream("models", url=None)

    assert code == UNAVAILABLE
    assert "make up" in err


def test_the_local_stack_is_the_default_server(dream, tmp_path):
    (tmp_path / ".dream").mkdir()
    (tmp_path / ".dream" / "stack.json").write_text(json.dumps({"api_url": "http://localhost:1"}))

    assert dream("models", url=None)[0] == 0


def test_the_environment_can_name_the_server(dream, monkeypatch):
    monkeypatch.setenv("DREAM_URL", "http://localhost:2")

    assert dream("models", url=None)[0] == 0


@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_an_invalid_stack_file_is_reported(dream, tmp_path, text):
    (tmp_path / ".dream").mkdir()
    (tmp_path / ".dream" / "stack.json").write_text(text)

    code, _, err = dream("models", url=None)

    assert code == UNAVAILABLE
    assert "stack.json" in err


def test_an_unreachable_server_is_reported(capsys):
    # port 9 is the discard service, which is not running
    code = main.run(["--server", "http://127.0.0.1:9", "models"])

    assert code == UNAVAILABLE
    err = capsys.readouterr().err
    assert "Can't reach the server at http://127.0.0.1:9" in err
    assert "Check the address, and that the server runs." in err


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://host", "http://[::1"])
def test_an_address_that_is_none_is_explained(capsys, address):
    code = main.run(["--server", address, "models"])

    assert code == UNAVAILABLE
    assert capsys.readouterr().err == f"'{address}' is not a valid address: it has the form http://host:port.\n"


@pytest.mark.parametrize(
    "arguments", [["submit"], ["submit", "missing.jpg"], ["status"], ["paint"], ["list", "--limit", "0"]]
)
def test_a_usage_error_exits_with_2_and_needs_no_server(dream, arguments):
    assert dream(*arguments, url=None)[0] == USAGE


def test_text_from_users_is_printed_as_it_is(dream, server, world, tmp_path):
    # given file names and an error message that look like rich's markup
    (tmp_path / "[red]photo.jpg").write_bytes(a_picture())
    server.ends_as = None
    job = dream("submit", "[red]photo.jpg")[1].strip()
    world.edit(world.end(world.claim(), JobState.FAILED), error=JobError(code="x", message="Out of [bold]memory[/]."))

    # when, then
    assert "Out of [bold]memory[/]." in dream("status", job)[1]
    assert "Out of [bold]memory[/]." in dream("--json", "watch", job)[1]
    server.ends_as = JobState.SUCCEEDED
    assert "Saved [red]out.png" in dream("submit", "photo.jpg", "-o", "[red]out.png")[1]


def test_help_needs_no_server(dream):
    assert dream("--help", url=None)[0] == 0
    assert dream("submit", "--help", url=None)[0] == 0


@pytest.mark.parametrize("arguments", [["list"], ["watch"]])
def test_a_narrow_terminal_shows_complete_ids(dream, monkeypatch, arguments):
    monkeypatch.setenv("COLUMNS", "60")
    job = dream("submit", "photo.jpg")[1].strip()

    out = dream(*arguments, *([job] if arguments == ["watch"] else []))[1]

    assert job in out
    assert out.endswith("\n")


def test_watch_shows_several_jobs_until_they_end(dream, server):
    server.ends_as = None
    jobs = [dream("submit", "photo.jpg")[1].strip() for _ in range(2)]
    server.ends_as = JobState.SUCCEEDED

    code, out, _ = dream("watch", *jobs)

    assert code == 0
    assert all(job in out for job in jobs)


def test_records_are_printed_as_json_on_request(dream, server):
    server.ends_as = None
    job = json.loads(dream("--json", "submit", "photo.jpg")[1])

    assert json.loads(dream("--json", "status", job["id"])[1])["state"] == "queued"
    assert json.loads(dream("--json", "list")[1])["jobs"][0]["id"] == job["id"]
    assert json.loads(dream("--json", "models")[1])["models"]
    assert json.loads(dream("--json", "cancel", job["id"])[1])["state"] == "canceled"


@pytest.mark.parametrize("arguments", [["list"], ["models"], ["looks"], ["submit", "photo.jpg"]])
def test_json_is_accepted_before_and_after_the_commands_name(dream, arguments):
    before, after = dream("--json", *arguments)[1], dream(*arguments, "--json")[1]

    assert json.loads(before).keys() == json.loads(after).keys()
    assert json.loads(dream(arguments[0], "--json", *arguments[1:])[1])


def commands(typer_app, *above):
    for name, command in getattr(typer_app, "commands", {}).items():
        yield (*above, name)
        yield from commands(command, *above, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*commands(typer.main.get_command(main.app))], ids=" ".join)
def test_every_command_takes_json(dream, name):
    assert "--json" in dream(*name, "--help", url=None)[1]


def test_the_version_is_printed_without_a_server(dream):
    assert dream("--version", url=None)[:2] == (0, f"dream {VERSION}\n")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("missing/out.png", "The folder missing does not exist"),
        ("photo.jpg/out.png", "photo.jpg is not a folder"),
        ("out.jpg", "does not fit the format png"),
        ("out.tiff", "use one of .png, .jpg, .jpeg, .webp"),
    ],
)
def test_a_download_that_cannot_be_saved_is_a_usage_error(dream, output, reason):
    job = dream("submit", "photo.jpg")[1].strip()

    code, _, err = dream("download", job, "-o", output)

    assert code == USAGE
    assert reason in err


def test_a_download_is_named_by_the_results_format(dream, tmp_path):
    job = dream("submit", "photo.jpg", "--format", "webp")[1].strip()

    assert "Saved photo-dream.webp" in dream("download", job)[1]
    assert dream("download", job, "-o", ".")[0] == 0
    assert (tmp_path / "photo-dream.webp").exists()
    assert (tmp_path / "photo-dream (2).webp").exists()


def test_a_file_that_cannot_be_written_is_reported_in_one_line(dream, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "out.png.part")

    job = dream("submit", "photo.jpg")[1].strip()
    monkeypatch.setattr(DreamClient, "download", full)

    code, _, err = dream("download", job, "-o", "out.png")

    assert (code, err) == (UNSUCCESSFUL, "out.png.part: No space left on device.\n")


def test_the_other_commands_print_json_too(dream):
    job = json.loads(dream("--json", "submit", "photo.jpg")[1])["id"]

    assert [json.loads(line)["id"] for line in dream("--json", "watch", job)[1].splitlines()] == [job]
    assert json.loads(dream("--json", "looks")[1])["presets"]
    assert dream("--json", "download", job)[1] == ""
    assert dream("--json", "delete", job)[1] == ""


def test_events_prints_one_line_of_json_per_event(dream, server, world):
    server.ends_as = None
    job = dream("submit", "photo.jpg")[1].strip()
    dream("cancel", job)

    lines = [json.loads(line) for line in dream("events", job)[1].splitlines()]

    assert [line["data"]["state"] for line in lines] == ["canceled"]


def test_a_job_is_named_after_its_photograph_or_as_requested_and_can_be_renamed(dream, server, tmp_path):
    job = dream("submit", "photo.jpg", "--watch")[1].split()[0]
    named = dream("submit", "photo.jpg", "--name", "My [bold]cat")[1].split()[0]

    assert "photo.jpg" in dream("status", job)[1]
    assert "My [bold]cat" in dream("status", named)[1]
    assert "is named Miezi" in dream("rename", job, "Miezi")[1]
    assert "Miezi" in dream("list")[1]
    assert dream("download", job)[0] == 0
    assert (tmp_path / "Miezi-dream.png").exists()
    assert "has no name" in dream("rename", job, "")[1]


def test_download_retry_and_delete(dream, server, tmp_path):
    job = dream("submit", "photo.jpg", "--watch")[1].split()[0]

    assert dream("download", job, "-o", "out.png")[0] == 0
    assert (tmp_path / "out.png").read_bytes() == b"png"
    assert dream("retry", job)[0] == REFUSED
    assert dream("delete", job)[0] == 0
    assert dream("status", job)[0] == REFUSED


def test_letters_that_the_terminal_lacks_are_escaped(monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(main, "run", lambda: Console().print("Saved caf\udce9 写.png"))

    with pytest.raises(SystemExit):
        main.main()

    assert stdout.buffer.getvalue() == b"Saved caf\\udce9 \\u5199.png\n"
