import pytest
from rich.console import Console

from api.cli.display import JobProgressBars, duration, job_table
from api.schemas.job_view import JobView
from shared.jobs import JobError, JobProgress, JobState
from tests.fakes.job_factory import a_job, an_ended_job


def view(job, **changes):
    return JobView.of(job, 0).model_copy(update=changes)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (185, "3 min 05 s"), (3600, "1 h 00 min"), (7810, "2 h 10 min")]
)
def test_durations_have_at_most_two_units(seconds, text):
    assert duration(seconds) == text


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
