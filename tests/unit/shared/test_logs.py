"""Tests log lines: JSON for machines, text for a terminal, never a secret."""

import io
import json
import logging
import sys

import pytest
import structlog

from shared import logs


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stderr(request, monkeypatch):
    """Returns what a fresh process writes."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    stream = request.param() if hasattr(request, "param") else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure()
    yield stream
    root.handlers[:] = kept
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_record_is_one_line_of_json_with_what_is_bound(stderr):
    with structlog.contextvars.bound_contextvars(job_id="01K", attempt=2, owner="ann"):
        structlog.get_logger("worker.runner").info("job_claimed", waited_s=0.5)

    record = json.loads(stderr.getvalue())
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "job_claimed", "level": "info", "logger": "worker.runner",
        "job_id": "01K", "attempt": 2, "owner": "ann", "waited_s": 0.5,
    }  # fmt: skip


def test_a_librarys_record_has_the_same_form_and_its_extras(stderr):
    logging.getLogger("celery").warning("lost %s", "it", extra={"route": "/x"})

    record = json.loads(stderr.getvalue())
    assert (record["event"], record["level"], record["logger"], record["route"]) == (
        "lost it",
        "warning",
        "celery",
        "/x",
    )


@pytest.mark.parametrize("stderr", [io.StringIO, Terminal], indirect=True)
def test_a_traceback_does_not_show_local_variables(stderr):
    def fails():
        password = "hush" + "hush"
        raise ValueError(len(password))

    try:
        fails()
    except ValueError:
        structlog.get_logger("t").exception("broken")

    assert "ValueError" in stderr.getvalue()
    assert "hushhush" not in stderr.getvalue()


@pytest.mark.parametrize("stderr", [Terminal], indirect=True)
def test_on_a_terminal_a_record_is_words(stderr):
    structlog.get_logger("t").info("job_claimed", job_id="01K")

    assert "job_claimed" in stderr.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stderr.getvalue())
