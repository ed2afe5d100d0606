"""The `dream submit` and `dream again` commands: send photographs and optionally wait for the results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli import connection, display
from api.cli.connection import REFUSED, UNSUCCESSFUL
from api.client import DreamClient, Refused
from api.client.recipes import NoRecipe, differences, other_pictures, read_recipe
from api.schemas.job_view import JobView
from shared.jobs import JobState
from shared.params import DreamParams
from shared.s3 import object_keys

OtherImage = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A PNG, JPEG or WebP file.")]


def submit(  # noqa: PLR0913 - typer reads the options from here
    context: typer.Context,
    image: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="PNG, JPEG or WebP files.")],
    *,
    model: Annotated[str | None, typer.Option(help="The network; `dream models` lists them.")] = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="A layer to amplify; can be repeated. `dream models NAME` lists them.")
    ] = None,
    octaves: Annotated[int | None, typer.Option(help="Number of image sizes to process, small to large.")] = None,
    octave_scale: Annotated[float | None, typer.Option(help="Size of each octave relative to the next one.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Ascent steps per octave; more give a stronger dream.")] = None,
    step_size: Annotated[float | None, typer.Option(help="Size of each step, in gray levels.")] = None,
    blend: Annotated[float | None, typer.Option(help="Share of the photograph mixed back in at each octave.")] = None,
    color: Annotated[str | None, typer.Option(help="`keep`, `free` or `original`.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed; the same seed gives the same image.")] = None,
    look: Annotated[str | None, typer.Option(help="Start from this preset; `dream looks` lists them.")] = None,
    guide: OtherImage = None,
    mask: OtherImage = None,
    params: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A JSON file with parameters; options override it.")
    ] = None,
    priority: Annotated[str, typer.Option(help="`high`, `normal` or `low`.")] = "normal",
    deadline_s: Annotated[
        float | None, typer.Option(help="Fail the job if it is not done after this many seconds.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show the progress until the job ends.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Wait, then save the dream to this file, or to this folder for several."),
    ] = None,
) -> None:
    """Submits photographs, all with the same parameters, and prints their job ids. Continues after a refused one."""
    client = connection.client(context)
    given = {
        "model": model,
        "layers": [{"layer": name} for name in layer] if layer else None,
        "octaves": octaves,
        "octave_scale": octave_scale,
        "iterations": iterations,
        "step_size": step_size,
        "blend": blend,
        "color": color,
        "seed": seed,
    }
    chosen = (
        (_preset_params(client, look) if look else {})
        | _params_from_file(params)
        | {name: value for name, value in given.items() if value is not None}
    )
    options: dict[str, str | float] = {"priority": priority}
    if deadline_s is not None:
        options["deadline_s"] = deadline_s
    jobs = _submit_each(
        context, image, lambda photograph: client.submit(photograph, chosen, guide=guide, mask=mask, **options)
    )
    if len(image) == 1 and (watch or output):
        watch_job(context, client, jobs[0], output)
    elif jobs and (watch or output):
        watch_all(context, client, jobs, output)
    if len(jobs) < len(image):
        raise typer.Exit(REFUSED)


def again(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A result of an earlier job.")],
    *,
    image: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The photograph.")],
    guide: OtherImage = None,
    mask: OtherImage = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to save the dream.")] = Path("again.png"),
) -> None:
    """Repeats a dream from the recipe in its metadata, and warns about anything that differs this time."""
    try:
        recipe = read_recipe(result)
    except ModuleNotFoundError as exc:  # Pillow is not a dependency of the client
        raise NoRecipe("Reading the recipe of a result needs Pillow: pip install pillow.") from exc
    warn = Console(stderr=True, style="yellow", markup=False, soft_wrap=True)
    for sentence in other_pictures(recipe, {"image": image, "guide": guide, "mask": mask}):
        warn.print(f"Differs: {sentence}.")
    client = connection.client(context)
    job = client.submit(image, recipe["params"], guide=guide, mask=mask, kind=recipe.get("kind", "dream"))
    watch_job(context, client, job, output)
    for sentence in differences(recipe, client.report(job.id)):
        warn.print(f"May differ: {sentence}.")


def watch_job(context: typer.Context, client: DreamClient, job: JobView, output: Path | None) -> None:
    """Shows one job's progress until it ends, then saves its result."""
    console = connection.console(context)
    try:
        with display.JobProgressBars(console) as bars:
            ended = client.wait(job.id, bars.update)
    except KeyboardInterrupt:
        console.print(f"The job continues; `dream status {job.id}` shows it, `dream cancel {job.id}` cancels it.")
        raise
    connection.print_json(context, ended)
    if ended.state is not JobState.SUCCEEDED:
        reason = f": {ended.error.message}" if ended.error else "."
        Console(stderr=True).print(f"The job ended as {ended.state}{reason}", style="red", markup=False)
        raise typer.Exit(UNSUCCESSFUL)
    if output:
        client.download(job.id, output)
        console.print(f"Saved {output}")


def watch_all(context: typer.Context, client: DreamClient, jobs: list[JobView], output: Path | None) -> None:
    """Shows all jobs in one view until they end, then saves the results into the folder."""
    console = connection.console(context)
    ended = display.watch_all(console, client, [job.id for job in jobs])
    for job in ended:
        connection.print_json(context, job)
    succeeded = [job for job in ended if job.state is JobState.SUCCEEDED]
    if output:
        output.mkdir(parents=True, exist_ok=True)
        for job in succeeded:
            client.download(job.id, output / f"{job.id}{_suffix(job)}")
        console.print(f"Saved {len(succeeded)} in {output}")
    if len(succeeded) < len(ended):
        raise typer.Exit(UNSUCCESSFUL)


def _submit_each(context: typer.Context, images: list[Path], submit_image: Callable[[Path], JobView]) -> list[JobView]:
    """Submits the images and returns the accepted jobs. Of several images, reports a refused one and continues."""
    jobs = []
    for image in images:
        try:
            job = submit_image(image)
        except Refused as exc:
            if len(images) == 1:
                raise
            Console(stderr=True, style="red").print(f"{image}: {exc}", markup=False, soft_wrap=True)
            continue
        connection.print_record(context, job, lambda: job.id)  # noqa: B023 - called immediately
        jobs.append(job)
    return jobs


def _suffix(job: JobView) -> str:
    return Path(object_keys.result(job.params.format if isinstance(job.params, DreamParams) else "png")).suffix


def _preset_params(client: DreamClient, name: str) -> dict[str, Any]:
    presets = {preset.name: preset.params for preset in client.presets().presets}
    if name not in presets:
        raise typer.BadParameter(f"Unknown look '{name}'; choose one of {', '.join(presets)}")
    return presets[name]


def _params_from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        params = json.loads(path.read_text())
    except ValueError as exc:
        raise typer.BadParameter(f"{path} is not JSON: {exc}") from exc
    if not isinstance(params, dict):
        raise typer.BadParameter(f"{path} must hold a JSON object")
    return params
