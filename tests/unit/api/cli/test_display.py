from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from api.cli.display import JobProgressBars, age, duration, job_table, jobs_table, keys_table, models_table, time_left
from api.schemas.account_views import KeyList, KeyView
from api.schemas.job_view import JobPage, JobView
from api.schemas.network_views import ModelList, ModelView
from shared.jobs.fleet import Fleet
from shared.jobs.job import JobError, JobProgress, JobState
from shared.networks.catalog import MODELS
from tests.fakes.job_factory import a_job, an_ended_job


def view(job, **changes):
    return JobView.of(job, 0).model_copy(update=changes)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (185, "3 min 05 s"), (3600, "1 h 00 min"), (7810, "2 h 10 min")]
)
def test_durations_have_at_most_two_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (59, "59 s"), (185, "3 min"), (7810, "2 h"), (1e6, "11 d")])
def test_an_age_has_one_unit(seconds, text):
    assert age(seconds) == text


def test_the_time_left_is_a_range_until_a_tenth_is_done():
    range_s = {"eta_seconds": 60, "eta_low_seconds": 30, "eta_high_seconds": 150}

    assert time_left(JobProgress(fraction=0.05, **range_s)) == "30 s to 2 min 30 s"
    assert time_left(JobProgress(fraction=0.1, **range_s)) == "1 min 00 s"
    assert time_left(JobProgress(fraction=0.05, eta_seconds=60)) == "1 min 00 s"
    assert time_left(JobProgress()) is None


def test_a_running_job_has_a_bar_per_octave(capsys):
    # given
    progress = JobProgress(octave=1, octaves=3, iteration=4, iterations=10, fraction=0.2, eta_seconds=75)
    running = view(a_job(), state=JobState.RUNNING, progress=progress)
    console = Console(width=120, force_terminal=True)

    # when
    with JobProgressBars(console) as bars:
        bars.update(view(a_job(), queue_position=2))
        bars.update(running)

    # then
    shown = capsys.readouterr().out
    assert "octave 1/3" in shown
    assert "10/10 iterations" in shown
    assert "4/10 iterations" in shown
    assert "20%, 1 min 15 s left" in shown


def test_a_failed_job_shows_its_error(capsys):
    failed = view(an_ended_job(JobState.FAILED), error=JobError(code="x", message="It was too large."))

    Console(width=120).print(job_table(failed))

    assert "It was too large." in capsys.readouterr().out


def test_an_ended_job_has_no_time_left(capsys):
    done = view(an_ended_job(JobState.SUCCEEDED), progress=JobProgress(octaves=1, fraction=1, eta_seconds=0))

    assert not [line for line in printed(capsys, job_table(done)) if "time left" in line]


def printed(capsys, table, width=80):
    Console(width=width).print(table)
    return capsys.readouterr().out.splitlines()


def test_a_list_of_jobs_has_a_line_per_job_with_its_whole_id_and_age_at_80_columns(capsys):
    name = "IMG_1234 [from a phone] with a long name.heic"
    jobs = tuple(view(an_ended_job(JobState.SUCCEEDED), name=name) for _ in range(3))

    later = jobs[0].created_at + timedelta(hours=2)
    lines = printed(capsys, jobs_table(JobPage(jobs=jobs, next_cursor=None), now=later))

    assert len(lines) == 1 + len(jobs)
    for line, job in zip(lines[1:], jobs, strict=True):
        for whole in (job.id, "succeeded", " 2 h ", "IMG_1234 [from a"):
            assert whole in line


def test_a_list_of_networks_has_a_line_per_network_at_80_columns(capsys):
    models = tuple(ModelView.of(model, Fleet()) for model in MODELS.values())

    assert len(printed(capsys, models_table(ModelList(models=models)))) == 1 + len(models)


def test_a_list_of_keys_shows_whole_ids_and_dates_at_80_columns(capsys):
    at = datetime(2027, 1, 15, 8, tzinfo=UTC)
    key = KeyView(id="0123456789ab", owner="a" * 30, name="n" * 30, created_at=at, revoked_at=at)

    out = printed(capsys, keys_table(KeyList(keys=(key,))))

    assert "0123456789ab" in out[1]
    assert out[1].count("2027-01-15 08:00") == 2


def test_the_progress_fits_80_columns(capsys):
    progress = JobProgress(octave=1, octaves=3, iteration=4, iterations=1000, fraction=0.2, eta_seconds=3599)
    running = view(a_job(), state=JobState.RUNNING, progress=progress)

    with JobProgressBars(Console(width=80, force_terminal=True)) as bars:
        bars.update(running)

    shown = capsys.readouterr().out
    assert "20%, 59 min 59 s left" in shown
    assert "1000/1000 iterations" in shown


@pytest.mark.parametrize(
    ("position", "fleet", "sentence"),
    [
        (0, Fleet(), "No worker is running"),
        (0, Fleet(workers=1, served=frozenset({"vgg16"})), "No running worker serves the model"),
        (2, None, "2 jobs ahead of it"),
        (1, None, "1 job ahead of it"),
        (0, None, "a free worker"),
    ],
)
def test_a_waiting_job_shows_what_it_waits_for(capsys, position, fleet, sentence):
    assert any(sentence in line for line in printed(capsys, job_table(JobView.of(a_job(), position, fleet)), 120))


def test_watching_says_once_what_the_job_waits_for(capsys):
    waiting = JobView.of(a_job(), 0, Fleet())

    with JobProgressBars(Console(width=120)) as bars:
        bars.update(waiting)
        bars.update(waiting)

    assert capsys.readouterr().out.count("No worker is running") == 1
