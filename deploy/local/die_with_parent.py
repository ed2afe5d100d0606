"""Runs a command that must not outlive its parent: `die_with_parent.py PARENT_PID COMMAND...`.

A separate program, run by path with `-I -S`: it starts within milliseconds and avoids `preexec_fn`, which is unsafe
with threads. On Linux the kernel sends SIGTERM when the parent dies for any reason; elsewhere `make down` cleans up.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # our parent may ignore it, and we would inherit that
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before prctl took effect
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - replaces this process on purpose; no shell is involved


if __name__ == "__main__":
    main()
