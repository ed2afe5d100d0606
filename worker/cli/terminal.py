"""Helpers of the commands that run on a terminal: `dream-worker` and `python -m worker.dream`."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer


def check_writable(path: Path) -> None:
    """Raises typer.BadParameter when the file can't be created or written. Leaves existing content unchanged."""
    existed = path.exists()
    try:
        path.open("ab").close()
    except OSError as exc:
        raise typer.BadParameter(f"{path} can't be written: {exc.strerror}") from exc
    if not existed:
        path.unlink()


@contextmanager
def native_logs_hidden() -> Iterator[None]:
    """Hides what native libraries write to stderr in this block. If the block raises, shows it after all.

    TensorFlow logs through absl before absl's logging is initialized, where TF_CPP_MIN_LOG_LEVEL has no effect. It
    writes to file descriptor 2 directly, so the descriptor is redirected, not `sys.stderr`.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(terminal, 2)
            captured.seek(0)
            with os.fdopen(os.dup(2), "wb") as stderr:
                shutil.copyfileobj(captured, stderr)
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
