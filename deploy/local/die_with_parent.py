"""Runs a command that must not outlive its parent: `leash.py PARENT_PID COMMAND...`.

A file of its own, run by path with `-I -S`, so that it costs milliseconds and needs no preexec_fn.
On Linux the kernel sends SIGTERM when the parent dies, however it dies; elsewhere `make down` sweeps.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the leash was on
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - replacing ourselves is the point; no shell is involved


if __name__ == "__main__":
    main()
