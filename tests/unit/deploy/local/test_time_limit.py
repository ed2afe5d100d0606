"""A second counts less on a busy machine."""

import os

import pytest

from deploy.local import time_limit
from deploy.local.time_limit import TimeLimit


class Machine:
    """A clock and a load that the test sets."""

    def __init__(self):
        self.now, self.busy = 100.0, 1.0

    def limit(self, limit_s):
        return TimeLimit(limit_s, monotonic=lambda: self.now, slowdown=lambda: self.busy)

    def passes(self, seconds):
        self.now += seconds


def test_on_a_quiet_machine_a_limit_is_in_seconds():
    machine = Machine()
    limit = machine.limit(10)

    machine.passes(10)
    assert not limit.is_over()
    machine.passes(0.1)
    assert limit.is_over()


def test_it_says_what_it_is():
    assert str(TimeLimit(0.5)) == "0.5 s of a quiet machine"


def test_a_machine_with_four_times_the_work_gets_four_times_as_long():
    machine = Machine()
    machine.busy = 4.0
    limit = machine.limit(10)

    machine.passes(39)
    assert not limit.is_over()
    machine.passes(2)
    assert limit.is_over()


def test_only_the_busy_seconds_count_less():
    machine = Machine()
    limit = machine.limit(10)

    machine.passes(5)
    assert not limit.is_over()
    machine.busy = 10.0
    machine.passes(49)
    assert not limit.is_over()
    machine.busy = 1.0
    machine.passes(1)
    assert limit.is_over()


@pytest.mark.parametrize(("load", "cores", "expected"), [(0.2, 2, 1), (2, 2, 1), (9, 2, 4.5), (9, 64, 1)])
def test_a_machine_slows_down_once_more_wants_to_run_than_there_are_cores(monkeypatch, load, cores, expected):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(os, "cpu_count", lambda: cores)

    assert time_limit.slowdown() == expected


def test_where_the_system_does_not_tell_its_load_a_second_is_a_second(monkeypatch):
    monkeypatch.delattr(os, "getloadavg")

    assert time_limit.slowdown() == 1
