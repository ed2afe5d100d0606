import json

import httpx
import pytest

from api.cli import main
from api.cli.connection import REFUSED, UNAVAILABLE, UNSUCCESSFUL
from shared.jobs import JobError, JobState
from shared.settings import Settings
from tests.fakes.pictures import a_picture

USAGE = 2


class Server(httpx.BaseTransport):
    """The application, with a worker that ends every queued job as soon as it is polled."""

    def __init__(self, app, world) -> None:
        self.api = httpx.WSGITransport(app)
        self.world = world
        self.ends_as = JobState.SUCCEEDED
        self.output = "result_png"

    def handle_request(self, request):
        if request.url.scheme == "memory":
            key = f"{request.url.host}{request.url.path}"
            return httpx.Response(200, content=self.world.storage.objects[key], request=request)
        if request.method == "GET" and request.url.path.startswith("/v1/jobs/") and self.ends_as:
            waiting = [job for job in self.world.store.jobs.values() if job.state is JobState.QUEUED]
            if waiting:
                self.world.end(self.world.claim(), self.ends_as, **{self.output: b"png"})
        return self.api.handle_request(request)


@pytest.fixture
def server(app, world):
    return Server(app, world)


@pytest.fixture
def dream(server, tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder; returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DREAM_URL", raising=False)
    (tmp_path / "photo.jpg").write_bytes(a_picture())

    def run(*arguments, url="http://localhost"):
        code = main.run([*(["--server", url] if url else []), *arguments], transport=server)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def test_submit_prints_the_jobs_id(dream, world):
    code, out, _ = dream("submit", "photo.jpg", "--octaves", "2", "--layer", "stem", "--layer", "block3")

    (job,) = world.store.jobs.values()
    assert (code, out.strip()) == (0, job.id)
    assert job.params.octaves == 2
    assert [target.layer for target in job.params.layers] == ["stem", "block3"]


def test_submit_with_output_waits_and_saves_the_dream(dream, tmp_path):
    code, out, _ = dream("submit", "photo.jpg", "-o", "out.png")

    assert code == 0
    assert "Saved out.png" in out
    assert (tmp_path / "out.png").read_bytes() == b"png"


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELED])
def test_watching_a_job_that_does_not_succeed_exits_with_1(dream, server, state):
    server.ends_as = state

    code, _, err = dream("submit", "photo.jpg", "--watch")

    assert code == UNSUCCESSFUL
    assert state in err


def test_options_override_parameters_from_a_file(dream, world, tmp_path):
    (tmp_path / "params.json").write_text(json.dumps({"octaves": 2, "iterations": 3}))

    code, _, _ = dream("submit", "photo.jpg", "--params", "params.json", "--iterations", "4")

    (job,) = world.store.jobs.values()
    assert (code, job.params.octaves, job.params.iterations) == (0, 2, 4)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_an_invalid_parameter_file_is_a_usage_error(dream, tmp_path, text):
    (tmp_path / "params.json").write_text(text)

    assert dream("submit", "photo.jpg", "--params", "params.json")[0] == USAGE


def test_a_refusal_prints_the_servers_message(dream):
    code, _, err = dream("submit", "photo.jpg", "--layer", "block5_expnd")

    assert code == REFUSED
    assert err.strip() == "unknown layer 'block5_expnd'; did you mean 'block5_expand'?"


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
    assert "Can't reach the server at http://127.0.0.1:9" in capsys.readouterr().err


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


def test_several_photographs_become_jobs_whose_results_are_saved_in_a_folder(dream, tmp_path, world):
    # given
    (tmp_path / "second.jpg").write_bytes(a_picture())

    # when
    code, out, _ = dream("submit", "photo.jpg", "second.jpg", "--octaves", "2", "-o", "dreams")

    # then
    assert code == 0
    assert len(world.store.jobs) == 2
    assert all(job_id in out for job_id in world.store.jobs)
    assert len(list((tmp_path / "dreams").iterdir())) == 2


def test_a_refused_photograph_is_reported_and_the_others_are_submitted(dream, tmp_path, world):
    (tmp_path / "notes.txt").write_text("hello")

    code, out, err = dream("submit", "photo.jpg", "notes.txt", "photo.jpg", "-o", "dreams")

    assert code == REFUSED
    assert err.startswith("notes.txt: This is not an image")
    assert len(world.store.jobs) == len(list((tmp_path / "dreams").iterdir())) == 2
    assert all(job_id in out for job_id in world.store.jobs)


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


@pytest.mark.parametrize("arguments", [["--watch"], ["-o", "dreams"]])
@pytest.mark.parametrize("photographs", [["photo.jpg"], ["photo.jpg", "photo.jpg"]])
def test_watching_with_json_prints_only_json_to_stdout(dream, arguments, photographs):
    code, out, err = dream("--json", "submit", *photographs, *arguments)

    states = [json.loads(line)["state"] for line in out.splitlines()]
    assert (code, states) == (0, ["queued"] * len(photographs) + ["succeeded"] * len(photographs))
    assert ("Saved" in err) == ("-o" in arguments)


def test_the_other_commands_print_json_too(dream):
    job = json.loads(dream("--json", "submit", "photo.jpg")[1])["id"]

    assert [json.loads(line)["id"] for line in dream("--json", "watch", job)[1].splitlines()] == [job]
    assert json.loads(dream("--json", "looks")[1])["presets"]
    assert dream("--json", "download", job)[1] == ""
    assert dream("--json", "delete", job)[1] == ""


def test_results_in_a_folder_have_the_extension_of_their_format(dream, tmp_path, server, world):
    (tmp_path / "params.json").write_text(json.dumps({"format": "jpeg"}))
    server.output = "result_jpg"

    assert dream("submit", "photo.jpg", "photo.jpg", "--params", "params.json", "-o", "dreams")[0] == 0

    assert sorted(path.name for path in (tmp_path / "dreams").iterdir()) == sorted(
        f"{job_id}.jpg" for job_id in world.store.jobs
    )


def test_events_prints_one_line_of_json_per_event(dream, server, world):
    server.ends_as = None
    job = dream("submit", "photo.jpg")[1].strip()
    dream("cancel", job)

    lines = [json.loads(line) for line in dream("events", job)[1].splitlines()]

    assert [line["data"]["state"] for line in lines] == ["canceled"]


def test_download_retry_and_delete(dream, server, tmp_path):
    job = dream("submit", "photo.jpg", "--watch")[1].split()[0]

    assert dream("download", job, "-o", "out.png")[0] == 0
    assert (tmp_path / "out.png").read_bytes() == b"png"
    assert dream("retry", job)[0] == REFUSED
    assert dream("delete", job)[0] == 0
    assert dream("status", job)[0] == REFUSED


class TestKeys:
    @pytest.fixture
    def settings(self):
        return Settings(keys="on", admin_key="an-admin-key-of-some-length")

    def test_keys_are_created_listed_and_revoked(self, dream, monkeypatch):
        # given
        monkeypatch.setenv("DREAM_KEY", "an-admin-key-of-some-length")

        # when
        key = dream("keys", "create", "ann", "--name", "laptop")[1].strip()
        key_id = key.split("_")[1]

        # then
        assert "laptop" in dream("keys", "list")[1]
        monkeypatch.setenv("DREAM_KEY", key)
        assert dream("list")[0] == 0
        assert dream("keys", "list")[0] == REFUSED
        monkeypatch.setenv("DREAM_KEY", "an-admin-key-of-some-length")
        assert "Revoked" in dream("keys", "revoke", key_id)[1]
        monkeypatch.setenv("DREAM_KEY", key)
        assert dream("list")[0] == REFUSED
