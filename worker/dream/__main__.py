"""`python -m worker.dream photo.jpg -o out.png`: one dream with no queue at all."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from shared.errors import DreamError
from shared.networks import catalog
from shared.params import DreamParams, Format
from worker import images
from worker.dream import device
from worker.dream.engine import dream
from worker.dream.inputs import Inputs
from worker.dream.observer import EngineProgress, ResumePoint
from worker.dream.report import Report
from worker.dream.types import Image
from worker.networks import registry

FORMATS: dict[str, Format] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
MAX_PIXELS = 400_000_000  # one's own machine, one's own memory


class Bar:
    """A observer that draws where the dream is."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def tiles_done(self, mark: EngineProgress) -> None:
        where = f"octave {mark.octave + 1}/{mark.octaves}, iteration {mark.iteration}/{mark.iterations}"
        self._bar.update(self._task, completed=mark.done_px, total=mark.total_px, description=where)

    def iteration_done(self, point: ResumePoint) -> None:
        """The bar moves by tiles."""


def main(
    photo: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.", exists=True, dir_okay=False)],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="PNG, JPEG or WebP, by its ending.")] = Path("dream.png"),
    params: Annotated[Path | None, typer.Option(help="A JSON file; what it leaves out has its default.")] = None,
    guide: Annotated[Path | None, typer.Option(help="Dream towards what the layers see in this picture.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Dream where this picture is white.")] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the report, as JSON.")] = None,
    model_dir: Annotated[Path, typer.Option(help="Where fetched weights are kept.")] = Path("models"),
) -> None:
    """Dreams on one photograph."""
    console = Console(stderr=True)
    if out.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"the ending of {out.name} must be one of {', '.join(FORMATS)}")
    try:
        wanted = DreamParams.model_validate_json(params.read_bytes()) if params else DreamParams()
        result, account = _dream(photo, catalog.resolve(wanted), model_dir, console, guide=guide, mask=mask)
        with out.open("wb") as file:
            images.encode(result, file, format=FORMATS[out.suffix.lower()], recipe=account.recipe())
        if report is not None:
            report.write_bytes(account.to_json())
    except (DreamError, ValidationError, OSError) as exc:
        console.print(f"[red]{exc}", markup=True, highlight=False)
        raise typer.Exit(1) from exc
    seconds = account.timings
    console.print(f"{out}: {seconds.total_s:.1f} s, {seconds.network_s:.1f} s of them in the network")


def _dream(
    photo: Path, params: DreamParams, model_dir: Path, console: Console, *, guide: Path | None, mask: Path | None
) -> tuple[Image, Report]:
    device.prepare()
    network = registry.load(params.model, model_dir)
    inputs = Inputs(guide=_read(guide) if guide else None, mask=images.mask_of(_read(mask)) if mask else None)
    columns = (TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        return dream(network, _read(photo), params, inputs=inputs, observer=Bar(bar, bar.add_task("", total=None)))


def _read(path: Path) -> Image:
    with path.open("rb") as file:
        return images.decode(file, max_pixels=MAX_PIXELS)


if __name__ == "__main__":
    typer.run(main)
