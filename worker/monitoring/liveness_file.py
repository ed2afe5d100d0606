"""Touches a file for liveness probes. The parent does it, because a busy or restarting child is not a failure."""

import threading
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

INTERVAL_S = 5.0


def start(file: Path | None) -> None:
    """Touches the file every 5 s while this process runs; a stopped process (SIGSTOP) doesn't, so the probe fails."""
    if file is None:
        return
    threading.Thread(target=_touch, args=(file,), name="liveness-file", daemon=True).start()


def _touch(file: Path) -> None:
    pause = threading.Event()
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        except OSError as exc:  # the disk may be full for a while; the probe decides how long is too long
            log.warning("liveness_file_write_failed", reason=str(exc))
        pause.wait(INTERVAL_S)
