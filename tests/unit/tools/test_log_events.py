"""Tests the table of log events: it is current and complete, and every event is named by the convention."""

import ast
import re

import pytest

from tools import log_events

LOGGER = "log = structlog.get_logger(__name__)\n"
EVENTS = sorted({call.event for call in log_events.log_calls()})


def test_the_page_is_current():
    assert log_events.PAGE.read_text() == log_events.page(), "Run `make docs`."


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_snake_case_and_has_a_meaning(event):
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", event)
    assert log_events.MEANINGS.get(event), "Add its meaning to MEANINGS in tools/log_events.py."


def test_no_meaning_is_left_of_an_event_that_is_gone():
    assert set(log_events.MEANINGS) <= set(EVENTS)


def test_an_event_that_is_not_a_literal_is_refused():
    tree = ast.parse(f'{LOGGER}log.warning(f"job {{job.id}} failed")')

    with pytest.raises(ValueError, match=r"some_module\.py:2"):
        list(log_events._calls_in(tree, "some_module.py"))


def test_levels_fields_and_modules_are_read_from_the_call():
    tree = ast.parse(f'{LOGGER}log.exception("job_failed", code=1, exc_info=True)\nother.info("not a logger")')

    (call,) = log_events._calls_in(tree, "m.py")

    assert (call.event, call.level, call.fields) == ("job_failed", "exception", ("code",))
