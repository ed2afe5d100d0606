"""Touches a file for liveness probes. The parent does it, because a busy or restarting child is not a failure."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

INTERVAL_S = 5.0


def start(file: Path | None, is_well: Callable[[], bool] = lambda: True) -> None:
    """Touches the file every 5 s while this process runs; a stopped process (SIGSTOP) doesn't, so the probe fails.

    is_well: returns False when a part of the process has failed for good; then the file is left alone as well.
    """
    if file is None:
        return
    threading.Thread(target=_touch, args=(file, is_well), name="liveness-file", daemon=True).start()


def _touch(file: Path, is_well: Callable[[], bool]) -> None:
    pause = threading.Event()
    while True:
        touch_once(file, is_well)
        pause.wait(INTERVAL_S)


def touch_once(file: Path, is_well: Callable[[], bool]) -> None:
    if not is_well():
        log.error("liveness_file_withheld", reason="A part of this process has failed; it has to be restarted.")
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as exc:  # the disk may be full for a while; the probe decides how long is too long
        log.warning("liveness_file_write_failed", reason=str(exc))
