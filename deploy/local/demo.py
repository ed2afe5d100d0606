"""Command behind `make demo`: dreams on one photograph and leaves nothing running."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image, ImageOps
from rich.console import Console

from api.cli.display import JobProgressBars, duration
from api.cli.network_commands import failure_of, wait_for_fetch
from api.client import DreamClient, Refused, ServerUnavailable
from api.schemas.job_view import JobView
from deploy.local.cli import CANNOT_START, ignore_stop_signals, interrupt_on_signals, new_stack
from deploy.local.process import ROOT
from deploy.local.stack import HOME, running_api_url
from shared.clock import SystemClock
from shared.jobs.job import JobState
from shared.params import DEFAULT_MODEL

PHOTOGRAPH = "data/coffee.png"  # inside scikit-image's wheel
GAP_PX = 8  # between the two pictures

console = Console(highlight=False, soft_wrap=True, markup=False)


class DemoFailed(Exception):
    """The demo could not produce a dream; the message says why."""


def main(
    image: Annotated[Path | None, typer.Option(envvar="IMAGE", help="A photograph; by default a bundled one.")] = None,
    folder: Annotated[Path, typer.Option(help="Output folder.")] = ROOT / "dreams",
    network: Annotated[
        str, typer.Option(envvar="NETWORK", help="A network of the catalog; its weights are fetched.")
    ] = "",
    weights: Annotated[
        str, typer.Option(envvar="WEIGHTS", help="Where the network's weights are: an address or a file.")
    ] = "",
    sha256: Annotated[str, typer.Option(envvar="SHA256", help="Of WEIGHTS, if it is not the published file.")] = "",
) -> None:
    """Dream on one photograph and print the paths of the results."""
    began = time.monotonic()
    interrupt_on_signals()
    try:
        photograph = _choose_photograph(image)
        if network and weights:
            _install(network, weights, sha256)
        with _server() as url, DreamClient(url) as client:
            job = _dream(client, photograph, _params(client, network or DEFAULT_MODEL))
            dream, both = _save(client, job, photograph, folder)
    except KeyboardInterrupt:
        console.print("\nStopped.")
        raise typer.Exit(130) from None
    except Refused as exc:
        mistakes = [f"{mistake.path}: {mistake.detail}" for mistake in exc.problem.errors]
        _fail("\n".join(mistakes) or str(exc))
    except (*CANNOT_START, ServerUnavailable, DemoFailed) as exc:
        _fail(str(exc))
    else:
        console.print(f"\nthe dream         {dream}", style="bold green")
        console.print(f"before and after  {both}", style="bold green")
        console.print(f"Dreaming took {_dreaming_time(job)}, the whole demo {duration(time.monotonic() - began)}")
        if not network:
            console.print("`make demo NETWORK=googlenet` dreams with the network of 2015 (fetches 54 MB)")


def _fail(text: str) -> None:
    console.print(text, style="red")
    raise typer.Exit(1)


def _choose_photograph(image: Path | None) -> Path:
    if image is not None:
        if not image.is_file():
            raise DemoFailed(f"{image} does not exist; set IMAGE to an image file.")
        return image
    spec = importlib.util.find_spec("skimage")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (found := Path(folder) / PHOTOGRAPH).exists():
            return found
    raise DemoFailed("The bundled photograph (scikit-image) is not installed. Name one: make demo IMAGE=photo.jpg")


@contextmanager
def _server() -> Iterator[str]:
    """Yields the API's address: of the running stack, or of one started for this demo alone."""
    if url := running_api_url(HOME):
        console.print(f"Using the running stack at {url}")
        yield url
        return
    stack = new_stack(HOME, env={"DREAM_TILE_MEASUREMENT_S": "0"})  # it takes longer than it saves on one photograph
    try:
        stack.start()
        yield stack.api_url
    finally:
        ignore_stop_signals()
        console.print("Stopping the stack ...")
        stack.stop()


def _install(network: str, weights: str, sha256: str) -> None:
    """Installs the weights from that address or file where the stack's workers look for them. Raises DemoFailed."""
    command = [sys.executable, "-m", "worker.cli.main", "fetch", network, "--from", weights]
    if sha256:
        command += ["--sha256", sha256]
    done = subprocess.run(  # noqa: S603 - our own program, with what the user has named
        command, env={"DREAM_MODEL_DIR": str(HOME / "models"), **os.environ}, check=False
    )
    if done.returncode:
        raise DemoFailed(f"The weights of {network} could not be installed.")


def _params(client: DreamClient, network: str) -> dict[str, Any]:
    """Returns the parameters of the network's first look, once a worker serves it.

    Raises DemoFailed if its weights can't be fetched.
    """
    model = next((model for model in client.models().models if model.name == network), None)
    if model is None:
        raise DemoFailed(f"There is no network '{network}'; `dream models` lists them.")
    if model.availability != "ready":
        model = wait_for_fetch(client, client.fetch_model(network), console, SystemClock())
    if failure := failure_of(model):
        raise DemoFailed(f"{failure} WEIGHTS=… takes another address, or a file.")
    looks = (preset for preset in client.presets().presets if preset.model == network)
    return next((look.params for look in looks), {"model": network})


def _dream(client: DreamClient, photograph: Path, params: dict[str, Any]) -> JobView:
    """Submits the photograph and waits. Raises DemoFailed if the job does not succeed; Ctrl-C cancels it."""
    console.print(f"\nDreaming on {photograph}")
    job = client.submit(photograph, params)
    try:
        with JobProgressBars(Console()) as bars:
            job = client.wait(job.id, bars.update)
    except KeyboardInterrupt:
        client.cancel(job.id)
        raise
    if job.state is not JobState.SUCCEEDED:
        raise DemoFailed(f"The job {job.state}: {job.error.message if job.error else 'it was canceled'}")
    return job


def _save(client: DreamClient, job: JobView, photograph: Path, folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    dream = folder / f"{photograph.stem}-dream.png"
    both = folder / f"{photograph.stem}-before-after.jpg"
    client.download(job.id, dream)
    side_by_side(photograph, dream).save(both, quality=90)
    return dream, both


def side_by_side(before: Path, after: Path) -> Image.Image:
    """Returns one picture with the photograph on the left and its dream on the right, at equal heights."""
    with Image.open(before) as left, Image.open(after) as right:
        dreamed = right.convert("RGB")
        photograph = ImageOps.exif_transpose(left).convert("RGB").resize(dreamed.size, Image.Resampling.LANCZOS)
    both = Image.new("RGB", (2 * dreamed.width + GAP_PX, dreamed.height), "white")
    both.paste(photograph, (0, 0))
    both.paste(dreamed, (dreamed.width + GAP_PX, 0))
    return both


def _dreaming_time(job: JobView) -> str:
    if job.started_at is None or job.finished_at is None:
        return "no measurable time"
    return duration((job.finished_at - job.started_at).total_seconds())


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
