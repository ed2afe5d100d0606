"""The `dream submit` and `dream again` commands: send photographs and optionally wait for the results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli import connection, display, network_commands, results
from api.cli.connection import REFUSED, UNSUCCESSFUL
from api.cli.options import dream_options, with_targets
from api.client import DreamClient, Refused
from api.client.recipes import NoRecipe, differences, other_pictures, read_recipe
from api.client.uploads import OnUpload
from api.schemas.job_view import JobView
from shared.errors import InvalidField, Unauthorized
from shared.jobs.job import JobState, Priority
from shared.params import DEFAULT_MODEL

Guide = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="A picture; the dream takes on what is in it.")
]
Mask = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A gray picture: white parts are dreamed, black ones stay."),
]

Anyway = Annotated[bool, typer.Option("--anyway", help="Submit even if no running worker has the network.")]


@dream_options
def submit(  # noqa: PLR0913 - typer reads the options from here
    context: typer.Context,
    image: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Photographs: JPEG, PNG, HEIC, TIFF and others.")
    ],
    *,
    given: dict[str, Any],
    targets: dict[str, list[Any]],
    look: Annotated[str | None, typer.Option(help="Start from this preset; `dream looks` lists them.")] = None,
    guide: Guide = None,
    mask: Mask = None,
    params: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A JSON file with parameters; options override it.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The jobs' name; by default, that of the photograph's file.")] = None,
    anyway: Anyway = False,
    priority: Annotated[Priority, typer.Option(help="Jobs with a higher priority start first.")] = "normal",
    deadline_s: Annotated[
        float | None, typer.Option(help="Fail the job if it is not done after this many seconds.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show the progress until the job ends.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Wait, then save the dream to this file, whose ending decides the format, or to this folder.",
        ),
    ] = None,
) -> None:
    """Submits photographs, all with the same parameters, and prints their job ids. Continues after a refused one."""
    from_file = _params_from_file(params)
    if output:
        given |= _checked_output(output, len(image), from_file, given)
    client = connection.client(context)
    chosen = (_preset_params(client, look) if look else {}) | from_file | given
    chosen |= _layers(client, chosen, targets)
    network_commands.check_available(client, chosen.get("model", DEFAULT_MODEL), anyway=anyway)
    options: dict[str, str | float] = {"priority": priority}
    if look is not None:
        options["preset"] = look
    if name is not None:
        options["name"] = name
    if deadline_s is not None:
        options["deadline_s"] = deadline_s
    jobs = _submit_each(
        context,
        image,
        lambda photograph, on_upload: client.submit(
            photograph, chosen, guide=guide, mask=mask, on_upload=on_upload, **options
        ),
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
    guide: Guide = None,
    mask: Mask = None,
    anyway: Anyway = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to save the dream; by default, again.png or its like.")
    ] = None,
) -> None:
    """Repeats a dream from the recipe in its metadata, and warns about anything that differs this time."""
    try:
        recipe = read_recipe(result)
    except ModuleNotFoundError as exc:  # Pillow is not a dependency of the client
        raise NoRecipe("Reading the recipe of a result needs Pillow: pip install pillow.") from exc
    warn = Console(stderr=True, style="yellow", markup=False, soft_wrap=True)
    for sentence in other_pictures(recipe, {"image": image, "guide": guide, "mask": mask}):
        warn.print(f"Differs: {sentence}.")
    output = output or Path(f"again{results.ending_of(recipe['params'].get('format', 'png'))}")
    results.check_file(output, recipe["params"])
    client = connection.client(context)
    network_commands.check_available(client, recipe["params"].get("model", DEFAULT_MODEL), anyway=anyway)
    with display.UploadBar(connection.console(context), image.name) as bar:
        job = client.submit(
            image,
            recipe["params"],
            guide=guide,
            mask=mask,
            on_upload=bar.update,
            kind=recipe.get("kind", "dream"),
        )
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
        console.print(f"Saved {client.download(job.id, output)}")


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
            client.download(job.id, output)
        console.print(f"Saved {len(succeeded)} in {output}")
    if len(succeeded) < len(ended):
        raise typer.Exit(UNSUCCESSFUL)


def _submit_each(
    context: typer.Context, images: list[Path], submit_image: Callable[[Path, OnUpload], JobView]
) -> list[JobView]:
    """Submits the images and returns the accepted jobs. Of several images, reports a refused one and continues."""
    jobs = []
    for image in images:
        try:
            with display.UploadBar(connection.console(context), image.name) as bar:
                job = submit_image(image, bar.update)
        except Refused as exc:
            if len(images) == 1 or exc.problem.code == Unauthorized.code:
                raise
            Console(stderr=True, style="red").print(f"{image}: {exc}", markup=False, soft_wrap=True)
            continue
        connection.print_record(context, job, lambda: job.id)  # noqa: B023 - called immediately
        jobs.append(job)
    return jobs


def _checked_output(output: Path, photographs: int, *params: dict[str, Any]) -> dict[str, Any]:
    """Returns the format that the output's name decides. params: of the file, then of the options."""
    folder = results.is_folder(output, photographs)
    results.check_writable(output, folder=folder)
    if folder:
        return {}
    from_file, given = params
    decided = results.format_of(output, from_file | given, fixed="format" in given)
    return {"format": decided} if decided else {}


def _preset_params(client: DreamClient, name: str) -> dict[str, Any]:
    try:
        return client.preset_params(name)
    except InvalidField as exc:
        raise typer.BadParameter(str(exc), param_hint="--look") from exc


def _layers(client: DreamClient, chosen: dict[str, Any], targets: dict[str, list[Any]]) -> dict[str, Any]:
    """Returns the layers that the options name; for channels and weights alone, the preset's or the default layer."""
    if not any(targets.values()):
        return {}
    layers = [{"layer": name} for name in targets["layer"]] or chosen.get("layers")
    if not layers:
        layers = [{"layer": client.layers(chosen.get("model", DEFAULT_MODEL)).default_layer}]
    return {"layers": with_targets(layers, targets)}


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
