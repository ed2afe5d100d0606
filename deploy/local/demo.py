"""`make demo`: one photograph in, one dream out, with nothing running before or after."""

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageOps
from rich.console import Console

from api.cli.display import JobProgressBars, duration
from api.client.dream_client import DreamClient, Refused, ServerAway
from api.schemas.job_view import JobView
from deploy.local.cli import CANNOT_START, interruptible, new_stack, uninterruptible
from deploy.local.process import ROOT
from deploy.local.stack import HOME, running_api
from shared.jobs import JobState

PHOTOGRAPH = "data/rocket.jpg"  # in scikit-image's wheel
GAP_PX = 8  # between before and after

console = Console(highlight=False, soft_wrap=True, markup=False)


class DemoFailed(Exception):
    """The demo could not show a dream; the message says why."""


def main(
    image: Annotated[
        Path | None, typer.Option(envvar="IMAGE", help="PNG, JPEG or WebP; unset: one that comes along.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the pictures go.")] = ROOT / "dreams",
) -> None:
    """Dream on a photograph and show where the picture is."""
    began = time.monotonic()
    interruptible()
    try:
        photograph = _chosen(image)
        with _server() as url, DreamClient(url) as client:
            job = _dream(client, photograph)
            dream, both = _save(client, job, photograph, folder)
    except KeyboardInterrupt:
        console.print("\nstopped")
        raise typer.Exit(130) from None
    except Refused as exc:
        mistakes = [f"{mistake.path}: {mistake.detail}" for mistake in exc.problem.errors]
        _complain("\n".join(mistakes) or str(exc))
    except (*CANNOT_START, ServerAway, DemoFailed) as exc:
        _complain(str(exc))
    else:
        console.print(f"\nthe dream         {dream}", style="bold green")
        console.print(f"before and after  {both}", style="bold green")
        console.print(f"dreaming took {_took(job)}, all of it {duration(time.monotonic() - began)}")


def _complain(text: str) -> None:
    console.print(text, style="red")
    raise typer.Exit(1)


def _chosen(image: Path | None) -> Path:
    if image is not None:
        if not image.is_file():
            raise DemoFailed(f"There is no file {image}.")
        return image
    spec = importlib.util.find_spec("skimage")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (found := Path(folder) / PHOTOGRAPH).exists():
            return found
    raise DemoFailed("scikit-image and its photographs are not installed; name one: make demo IMAGE=photo.jpg")


@contextmanager
def _server() -> Iterator[str]:
    """The API's address: of the stack that is up, or of one that is up only for this."""
    if url := running_api(HOME):
        console.print(f"using the stack that is up at {url}")
        yield url
        return
    stack = new_stack(HOME)
    try:
        stack.start()
        yield stack.api_url
    finally:
        uninterruptible()
        console.print("stopping what was started")
        stack.stop()


def _dream(client: DreamClient, photograph: Path) -> JobView:
    """Raises DemoFailed when the job ends otherwise; Ctrl-C cancels it."""
    console.print(f"\ndreaming on {photograph}")
    job = client.submit(photograph)
    try:
        with JobProgressBars(Console()) as watch:
            job = client.wait(job.id, watch.update)
    except KeyboardInterrupt:
        client.cancel(job.id)
        raise
    if job.state is not JobState.SUCCEEDED:
        raise DemoFailed(f"The job {job.state}: {job.error.message if job.error else 'somebody canceled it'}")
    return job


def _save(client: DreamClient, job: JobView, photograph: Path, folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    dream = folder / f"{photograph.stem}-dream.png"
    both = folder / f"{photograph.stem}-before-after.jpg"
    client.download(job.id, dream)
    side_by_side(photograph, dream).save(both, quality=90)
    return dream, both


def side_by_side(before: Path, after: Path) -> Image.Image:
    """The photograph beside its dream, equally high."""
    with Image.open(before) as left, Image.open(after) as right:
        dreamed = right.convert("RGB")
        photograph = ImageOps.exif_transpose(left).convert("RGB").resize(dreamed.size, Image.Resampling.LANCZOS)
    both = Image.new("RGB", (2 * dreamed.width + GAP_PX, dreamed.height), "white")
    both.paste(photograph, (0, 0))
    both.paste(dreamed, (dreamed.width + GAP_PX, 0))
    return both


def _took(job: JobView) -> str:
    if job.started_at is None or job.finished_at is None:
        return "no time"
    return duration((job.finished_at - job.started_at).total_seconds())


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
