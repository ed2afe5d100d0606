"""Tests that processes started by tests receive signals, even if they are ignored in the parent."""

import signal
import subprocess
import sys

import pytest

from tests.signals import with_default_signals

SENT = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
ASK = "import signal, sys; print(*(n for n in sys.argv[1:] if signal.getsignal(int(n)) is signal.SIG_IGN))"


@pytest.fixture
def ignored():
    """As nohup, or a shell for a job in the background, starts the suite."""
    before = [signal.signal(number, signal.SIG_IGN) for number in SENT]
    yield
    for number, handler in zip(SENT, before, strict=True):
        signal.signal(number, handler)


def ignores(argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def test_signals_that_we_ignore_are_heard_by_what_we_start(ignored):
    numbers = [str(int(number)) for number in SENT]
    command = [sys.executable, "-c", ASK, *numbers]

    assert ignores(command) == numbers
    assert ignores(with_default_signals(command)) == []
