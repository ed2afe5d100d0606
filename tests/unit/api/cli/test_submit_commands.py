import json
import os

import pytest

from api.cli.connection import REFUSED, UNAVAILABLE, UNSUCCESSFUL
from shared.jobs.job import JobState
from tests.fakes.pictures import a_picture
from tests.unit.api.cli.conftest import register

USAGE = 2


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


@pytest.mark.parametrize("arguments", [["--watch"], ["-o", "dreams"]])
@pytest.mark.parametrize("photographs", [["photo.jpg"], ["photo.jpg", "photo.jpg"]])
def test_watching_with_json_prints_only_json_to_stdout(dream, arguments, photographs):
    code, out, err = dream("--json", "submit", *photographs, *arguments)

    states = [json.loads(line)["state"] for line in out.splitlines()]
    assert (code, states) == (0, ["queued"] * len(photographs) + ["succeeded"] * len(photographs))
    assert ("Saved" in err) == ("-o" in arguments)


def test_results_in_a_folder_have_the_extension_of_their_format(dream, tmp_path, server, world):
    (tmp_path / "params.json").write_text(json.dumps({"format": "jpeg"}))

    assert dream("submit", "photo.jpg", "photo.jpg", "--params", "params.json", "-o", "dreams")[0] == 0

    assert sorted(path.name for path in (tmp_path / "dreams").iterdir()) == ["photo-dream (2).jpg", "photo-dream.jpg"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-o", "missing/out.png"], "The folder missing does not exist"),
        (["-o", "params.json/out.png"], "params.json is not a folder"),
        (["-o", "out.tiff"], "use one of .png, .jpg, .jpeg, .webp"),
        (["-o", "out.jpg", "--format", "png16"], "does not fit the format png16; use the ending .png"),
        (["photo.jpg", "-o", "out.png"], "out.png is one file, but there are 2 photographs"),
        (["photo.jpg", "-o", "params.json"], "params.json is one file, but there are 2 photographs"),
        (["photo.jpg", "-o", "params.json/dreams"], "params.json is not a folder"),
    ],
)
def test_an_output_that_cannot_be_saved_is_refused_before_anything_is_submitted(
    dream, world, tmp_path, arguments, reason
):
    (tmp_path / "params.json").write_text("{}")

    code, _, err = dream("submit", "photo.jpg", *arguments, url=None)

    assert code == USAGE
    assert reason in " ".join(err.replace("\u2502", " ").split())
    assert not world.store.jobs


def test_an_unwritable_folder_is_refused(dream, monkeypatch):
    monkeypatch.setattr("os.access", lambda _, mode: mode == os.R_OK)  # root could write anywhere

    assert "is not writable" in dream("submit", "photo.jpg", "-o", "out.png", url=None)[2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-o", "out.jpg"], "jpeg"),
        (["-o", "out.WEBP"], "webp"),
        (["-o", "out.png", "--format", "png16"], "png16"),
        (["-o", "out.png", "--params", "params.json"], "png"),
        (["-o", "out", "--params", "params.json"], "jpeg"),
        (["-o", "out"], "png"),
    ],
)
def test_the_outputs_ending_decides_the_format(dream, world, tmp_path, options, expected):
    (tmp_path / "params.json").write_text('{"format": "jpeg"}')

    assert dream("submit", "photo.jpg", *options)[0] == 0

    (job,) = world.store.jobs.values()
    assert job.params.format == expected
    assert (tmp_path / options[1]).exists()


def test_one_photograph_can_be_saved_in_a_folder(dream, world, tmp_path):
    (tmp_path / "dreams").mkdir()

    assert dream("submit", "photo.jpg", "-o", "dreams")[0] == 0

    assert [path.name for path in (tmp_path / "dreams").iterdir()] == ["photo-dream.png"]


def test_an_unknown_look_is_a_usage_error_that_lists_the_looks(dream, world):
    code, _, err = dream("submit", "photo.jpg", "--look", "ears")

    assert (code, "eyes" in err, world.store.jobs) == (USAGE, True, {})


def test_a_job_that_no_worker_can_take_is_not_submitted_without_saying_so(dream, world):
    code, out, err = dream("submit", "photo.jpg", "--model", "googlenet", "-w")

    assert (code, out, world.store.jobs) == (UNAVAILABLE, "", {})
    assert "No running worker has the network googlenet" in err
    assert "dream-worker fetch googlenet" in err


def test_a_job_whose_weights_an_operator_can_have_fetched_says_how(dream, world):
    register(world, models=("efficientnet-lite0",), fetchable=("googlenet",))

    code, _, err = dream("submit", "photo.jpg", "--model", "googlenet")

    assert (code, world.store.jobs) == (UNAVAILABLE, {})
    assert "dream fetch googlenet" in err


def test_anyway_submits_it_all_the_same(dream, world):
    code, _, err = dream("submit", "photo.jpg", "--model", "googlenet", "--anyway")

    assert (code, len(world.store.jobs)) == (0, 1)
    assert "No running worker has the network googlenet" in err


def test_a_job_whose_weights_a_worker_fetches_by_itself_is_submitted_with_a_note(dream, world):
    register(world, models=("efficientnet-lite0",), fetchable=("googlenet",), fetches_on_demand=True)

    code, _, err = dream("submit", "photo.jpg", "--model", "googlenet")

    assert (code, len(world.store.jobs)) == (0, 1)
    assert "fetches the weights of GoogLeNet first (54 MB)" in err


def test_without_any_worker_jobs_are_submitted_with_a_warning(dream, world):
    world.store.live.clear()

    code, _, err = dream("submit", "photo.jpg")

    assert (code, len(world.store.jobs), err.strip()) == (0, 1, "No worker is running; the job waits for one.")
