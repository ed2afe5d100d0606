"""The parent's sign of life for liveness probes: a file it touches. The child may be busy or away; that is no death."""

import threading
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

INTERVAL_S = 5.0


def start(file: Path | None) -> None:
    """Touches the file every 5 s for as long as this process runs. Not while it is stopped, which is the point."""
    if file is None:
        return
    threading.Thread(target=_touch, args=(file,), name="heartbeat", daemon=True).start()


def _touch(file: Path) -> None:
    pause = threading.Event()
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        except OSError as exc:  # the disk may be full for a while; the probe decides how long that may last
            log.warning("liveness_file_write_failed", reason=str(exc))
        pause.wait(INTERVAL_S)
