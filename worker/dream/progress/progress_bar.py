"""Shows the engine's progress on a terminal."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from worker.dream.progress.observer import EngineProgress, ResumePoint

COLUMNS = (TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.percentage:>3.0f}%"))


class ProgressBar:
    """Draws a progress bar from the engine's callbacks. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(*COLUMNS, TimeRemainingColumn(), console=console)
        self._bar = self._bars.add_task("", total=None)

    def __enter__(self) -> "ProgressBar":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def tile_done(self, progress: EngineProgress) -> None:
        octave = f"octave {progress.octave + 1}/{progress.octaves}"
        where = f"{octave}, iteration {progress.iteration}/{progress.iterations}"
        self._bars.update(self._bar, completed=progress.done_px, total=progress.total_px, description=where)

    def iteration_done(self, point: ResumePoint) -> None:
        """Does nothing: the bar moves by tiles."""
