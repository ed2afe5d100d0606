"""Renders jobs, networks and keys for the terminal. Text from users is never interpreted as markup."""

from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from api.client.dream_client import DreamClient
from api.client.steps import POLL_S
from api.schemas.account_views import KeyList
from api.schemas.job_view import JobPage, JobView
from api.schemas.network_views import LayerList, ModelList, ModelView, PresetList
from shared.clock import Clock, SystemClock
from shared.jobs.job import JobProgress
from shared.params import FeatureMapsParams

STYLES = {"succeeded": "green", "failed": "red", "canceled": "yellow", "running": "cyan", "canceling": "yellow"}
SURE_FROM = 0.1  # share of the work from which the time left is one number
NAME_WIDTH = 18  # what a list shows of long names at least


class JobProgressBars:
    """Live progress bars of one job: one per octave and one for the whole job."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=console,
        )
        self._whole = self._bars.add_task("dream", total=1.0, status="waiting")
        self._octaves: list[TaskID] = []
        self._waiting_for: str | None = None

    def __enter__(self) -> "JobProgressBars":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def update(self, job: JobView) -> None:
        progress = job.progress
        if job.waiting_for and job.waiting_for != self._waiting_for:
            self._bars.console.print(job.waiting_for)
        self._waiting_for = job.waiting_for
        for octave in range(len(self._octaves), progress.octaves):
            name = f"octave {octave + 1}/{progress.octaves}"
            self._octaves.append(self._bars.add_task(name, total=progress.iterations, status=""))
        for octave, bar in enumerate(self._octaves):
            done = progress.iterations if octave < progress.octave or job.state == "succeeded" else 0
            if octave == progress.octave and job.state != "succeeded":
                done = progress.iteration
            self._bars.update(bar, completed=done, status=f"{done}/{progress.iterations} iterations")
        self._bars.update(self._whole, completed=progress.fraction, status=self._status(job))

    def _status(self, job: JobView) -> str:
        if job.state == "queued":
            return "waiting" if not job.queue_position else f"waiting, {job.queue_position} ahead"
        if job.state != "running":
            return str(job.state)
        left = time_left(job.progress)
        return f"{job.progress.fraction:.0%}" + (f", {left} left" if left else "")


def time_left(progress: JobProgress) -> str | None:
    """Returns the time left, as a range as long as it is uncertain; None if it is unknown."""
    low, high = progress.eta_low_seconds, progress.eta_high_seconds
    if progress.fraction < SURE_FROM and low is not None and high is not None:
        return f"{duration(low)} to {duration(high)}"
    return None if progress.eta_seconds is None else duration(progress.eta_seconds)


class UploadBar:
    """Progress of the upload of a large image; shows nothing for a small one, which is sent with the request."""

    def __init__(self, console: Console, name: str) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, console=console, transient=True)
        self._name = name
        self._task: TaskID | None = None

    def __enter__(self) -> "UploadBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._bar.stop()

    def update(self, sent_bytes: int, total_bytes: int) -> None:
        if self._task is None:
            self._task = self._bar.add_task(f"uploading {self._name}", total=total_bytes)
            self._bar.start()
        self._bar.update(self._task, completed=sent_bytes)


def watch_all(console: Console, client: DreamClient, job_ids: list[str], clock: Clock | None = None) -> list[JobView]:
    """Shows one live line per job until all have ended; returns the ended jobs."""
    clock = clock or SystemClock()
    jobs, said = {job_id: client.get(job_id) for job_id in job_ids}, set[str]()
    with Live(jobs_table(JobPage(jobs=tuple(jobs.values()), next_cursor=None)), console=console) as view:
        while open_jobs := [job.id for job in jobs.values() if not job.state.is_terminal]:
            clock.sleep(POLL_S)
            jobs |= {job_id: client.get(job_id) for job_id in open_jobs}
            for sentence in {job.waiting_for for job in jobs.values() if job.waiting_for} - said:
                said.add(sentence)
                view.console.print(sentence)
            view.update(jobs_table(JobPage(jobs=tuple(jobs.values()), next_cursor=None)))
    if not console.is_terminal:
        console.print()  # rich does not end the last line there
    return list(jobs.values())


def keys_table(keys: KeyList) -> Table:
    table = _table("id", (key.id for key in keys.keys), "created (UTC)", "revoked (UTC)", wide=("owner", "name"))
    for key in keys.keys:
        ended = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        table.add_row(key.id, f"{key.created_at:%Y-%m-%d %H:%M}", ended, Text(key.owner), Text(key.name))
    return table


def duration(seconds: float) -> str:
    """Formats a duration: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def age(seconds: float) -> str:
    """Formats how long ago something was, in the largest unit that fits: `42 s`, `3 min`, `2 h`, `12 d`."""
    whole = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def job_table(job: JobView) -> Table:
    table = Table(show_header=False, box=None)
    rows: dict[str, RenderableType | None] = {
        "job": job.id,
        "name": None if job.name is None else Text(job.name),
        "state": _styled(job.state),
        "waits for": None if job.queue_position is None else Text(_waits_for(job)),
        "progress": f"{job.progress.fraction:.0%}, octave {job.progress.octave + 1} of {job.progress.octaves}, "
        f"iteration {job.progress.iteration} of {job.progress.iterations}"
        if job.progress.octaves
        else None,
        "time left": None if job.finished_at else time_left(job.progress),
        "submitted": f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "took": duration((job.finished_at - job.started_at).total_seconds())
        if job.finished_at and job.started_at
        else None,
        "image": f"{job.input.width} x {job.input.height} {job.input.format}",
        "look": Text(", ".join([job.preset, *(f"other {name}" for name in job.changed)])) if job.preset else None,
        "layers": _layers(job),
        "error": Text(job.error.message) if job.error else None,
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(Text(name, style="dim"), value)
    return table


def jobs_table(page: JobPage, *, now: datetime | None = None) -> Table:
    """Returns one line per job, at 80 columns too: only the name and the look are cut.

    now: what the age is counted from; the present by default.
    """
    now = now or datetime.now(UTC)
    table = _table("job", (job.id for job in page.jobs), "state", "age", wide=("name", "look"))
    table.columns[-2].min_width = min(NAME_WIDTH, max((len(job.name or "") for job in page.jobs), default=0))
    for job in page.jobs:
        table.add_row(
            job.id,
            _state_and_progress(job),
            age((now - job.created_at).total_seconds()),
            _cut(Text(job.name or "")),
            _cut(Text(job.preset) if job.preset else _layers(job)),
        )
    return table


def models_table(models: ModelList) -> Table:
    table = _table(
        "model", (model.name for model in models.models), "size", "default layer", "available", wide=("license",)
    )
    for model in models.models:
        size = f"{model.size_bytes / 1e6:.0f} MB"
        table.add_row(model.name, size, model.default_layer, _available(model), Text(model.license))
    return table


def _available(model: ModelView) -> str:
    if model.fetch is None:
        return model.availability or "unknown"
    if model.fetch.error is not None:
        return f"{model.availability}, fetch failed"
    total = model.fetch.total_bytes or model.size_bytes
    return "fetching" + (f" {min(1, model.fetch.fetched_bytes / total):.0%}" if total else "")


def presets_table(presets: PresetList) -> Table:
    table = _table("look", (preset.name for preset in presets.presets), "model", "available", wide=("what it does",))
    for preset in presets.presets:
        table.add_row(preset.name, preset.model, preset.availability or "unknown", Text(preset.sentence))
    return table


def layers_table(layers: LayerList) -> Table:
    table = _table("layer", (f"{layer.name} (default)" for layer in layers.layers), "channels", "stride")
    for layer in layers.layers:
        mark = " (default)" if layer.name == layers.default_layer else ""
        table.add_row(Text(f"{layer.name}{mark}"), str(layer.channels), str(layer.stride))
    return table


def _table(name: str, names: Iterable[str], *columns: str, wide: tuple[str, ...] = ()) -> Table:
    """Returns a table with columns of one line and then wide ones, which wrap.

    names: the first column's. It is never cut, however narrow the terminal: other commands need its names.
    """
    table = Table(box=None)
    table.add_column(name, no_wrap=True, min_width=max(map(len, names), default=0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    for column in wide:
        table.add_column(column)
    return table


def _cut(text: Text) -> Text:
    """Returns the text on one line, cut where its column ends."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _waits_for(job: JobView) -> str:
    if job.waiting_for:
        return job.waiting_for
    ahead = job.queue_position
    return f"{ahead} job{'s' if ahead != 1 else ''} ahead of it" if ahead else "a free worker"


def _layers(job: JobView) -> Text:
    if isinstance(job.params, FeatureMapsParams):
        return Text(f"maps of {job.params.layer}")
    return Text(", ".join(target.layer for target in job.params.layers or ()))


def _state_and_progress(job: JobView) -> Text:
    state = _styled(job.state)
    return state.append(f" {job.progress.fraction:.0%}") if job.state == "running" else state


def _styled(state: str) -> Text:
    return Text(state, style=STYLES.get(state, ""))
