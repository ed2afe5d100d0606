"""Processes that hear the signals that a test sends, however the tests themselves were started."""

import sys

# A child ignores what its parent ignores: nohup does that to SIGHUP, a shell to SIGINT of a job in the background, and
# some CI runners to both.
_RESET = """
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
os.execvp(sys.argv[1], sys.argv[1:])
"""


def with_default_signals(argv: list[str]) -> list[str]:
    """Returns a command line that runs this one with default signal handlers."""
    return [sys.executable, "-I", "-S", "-c", _RESET, *argv]
