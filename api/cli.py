"""The `dream` command.

Exit codes: 0 done, 1 the job did not succeed, 2 wrong usage, 3 the server refused, 4 the server is away, 130 Ctrl-C.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from api import cli_keys, show, target
from api.again import differences, other_pictures, read_recipe
from api.client import DreamClient, Refused, ServerAway
from api.schemas import JobView
from api.target import Target
from shared.errors import DreamError
from shared.jobs import JobState

UNSUCCESSFUL, REFUSED, AWAY = 1, 3, 4

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(cli_keys.app, name="keys")
OtherImage = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A PNG, JPEG or WebP file.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as submit and list show it.")]


@app.callback()
def _options(
    context: typer.Context,
    *,
    server: Annotated[
        str | None, typer.Option(help="The api's address; else DREAM_URL, else the local stack of this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one line of JSON per record.")] = False,
) -> None:
    """Turns photographs into DeepDreams on a Dreamqueue server.

    Exit codes: 0 done, 1 a job did not succeed, 2 wrong usage, 3 the server refused, 4 the server is away, 130 Ctrl-C.
    DREAM_KEY holds the API key, where one is needed.
    """
    context.obj = Target(url=server, transport=context.obj, json=as_json)


@app.command()
def submit(  # noqa: PLR0913 - typer reads the options from here
    context: typer.Context,
    image: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="PNG, JPEG or WebP files.")],
    *,
    model: Annotated[str | None, typer.Option(help="The network; `dream models` lists them.")] = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="What to see more of; may be repeated. `dream models NAME` lists them.")
    ] = None,
    octaves: Annotated[int | None, typer.Option(help="How many sizes are dreamt, small to large.")] = None,
    octave_scale: Annotated[float | None, typer.Option(help="Size of each octave relative to the next one.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps per octave; more dream deeper.")] = None,
    step_size: Annotated[float | None, typer.Option(help="How far each step goes, in grey levels.")] = None,
    blend: Annotated[float | None, typer.Option(help="How much of the photograph returns at each octave.")] = None,
    color: Annotated[str | None, typer.Option(help="`keep`, `free` or `original`.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same picture.")] = None,
    look: Annotated[str | None, typer.Option(help="Begin with this preset; `dream looks` lists them.")] = None,
    guide: OtherImage = None,
    mask: OtherImage = None,
    params: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A JSON file with any parameters; options win.")
    ] = None,
    priority: Annotated[str, typer.Option(help="`high`, `normal` or `low`.")] = "normal",
    deadline_s: Annotated[float | None, typer.Option(help="Fail the job if it is not done in so many seconds.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay and show the progress.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Save the dream here, a folder for several; stays until then.")
    ] = None,
) -> None:
    """Submits photographs, all with the same parameters. Prints each job's id."""
    client = target.client(context)
    chosen = (
        (_look(client, look) if look else {})
        | _from_file(params)
        | {
            name: value
            for name, value in {
                "model": model,
                "layers": [{"layer": name} for name in layer] if layer else None,
                "octaves": octaves,
                "octave_scale": octave_scale,
                "iterations": iterations,
                "step_size": step_size,
                "blend": blend,
                "color": color,
                "seed": seed,
            }.items()
            if value is not None
        }
    )
    options: dict[str, str | float] = {"priority": priority}
    if deadline_s is not None:
        options["deadline_s"] = deadline_s
    jobs = []
    for photograph in image:
        job = client.submit(photograph, chosen, guide=guide, mask=mask, **options)
        target.answer(context, job, lambda: job.id)  # noqa: B023 - called at once
        jobs.append(job)
    if len(jobs) == 1 and (watch or output):
        _follow(client, jobs[0], output)
    elif watch or output:
        _follow_all(client, jobs, output)


@app.command()
def again(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A picture that was dreamt before.")],
    *,
    image: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The photograph.")],
    guide: OtherImage = None,
    mask: OtherImage = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to save the dream.")] = Path("again.png"),
) -> None:
    """Dreams a picture again, by the recipe that it carries; says what is different this time."""
    recipe = read_recipe(result)
    warn = Console(stderr=True, style="yellow", markup=False, soft_wrap=True)
    for sentence in other_pictures(recipe, {"image": image, "guide": guide, "mask": mask}):
        warn.print(f"Not the same: {sentence}.")
    client = target.client(context)
    job = client.submit(image, recipe["params"], guide=guide, mask=mask, kind=recipe.get("kind", "dream"))
    _follow(client, job, output)
    for sentence in differences(recipe, client.report(job.id)):
        warn.print(f"Perhaps not the same: {sentence}.")


@app.command()
def looks(context: typer.Context) -> None:
    """Lists the looks and the classic recipes."""
    Console().print(show.presets_table(target.client(context).presets()))


@app.command()
def status(context: typer.Context, job: JobId) -> None:
    """Shows how a job is doing."""
    found = target.client(context).get(job)
    target.answer(context, found, lambda: show.job_table(found))


@app.command()
def watch(context: typer.Context, job: Annotated[list[str], typer.Argument(metavar="JOB...")]) -> None:
    """Follows several jobs in one view until all have ended."""
    client = target.client(context)
    _follow_all(client, [client.get(job_id) for job_id in job], None)


@app.command()
def events(context: typer.Context, job: JobId) -> None:
    """Prints what happens to a job as it happens, one line of JSON each."""
    for event in target.client(context).events(job):
        sys.stdout.write(json.dumps({"event": event.name, "id": event.id, "data": event.data}) + "\n")
        sys.stdout.flush()


@app.command()
def download(
    context: typer.Context, job: JobId, output: Annotated[Path, typer.Option("--output", "-o")] = Path("dream.png")
) -> None:
    """Saves a finished dream; a download that broke off goes on where it was."""
    target.client(context).download(job, output)
    Console().print(f"saved {output}", markup=False)


@app.command()
def retry(context: typer.Context, job: JobId) -> None:
    """Tries a failed job again, from its last checkpoint."""
    again = target.client(context).retry(job)
    target.answer(context, again, lambda: f"{job} is {again.state}")


@app.command()
def delete(context: typer.Context, job: JobId) -> None:
    """Removes a job and all its pictures, for good."""
    target.client(context).delete(job)
    Console().print(f"{job} is deleted", markup=False)


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[list[JobState] | None, typer.Option(help="Only this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """Lists your jobs, newest first."""
    page = target.client(context).list_jobs(states=tuple(state or ()), limit=limit)
    target.answer(context, page, lambda: show.jobs_table(page) if page.jobs else "No jobs.")


@app.command()
def cancel(context: typer.Context, job: JobId) -> None:
    """Ends a job: a waiting one at once, a running one in a moment."""
    ended = target.client(context).cancel(job)
    target.answer(context, ended, lambda: f"{job} is {ended.state}")


@app.command()
def models(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="List this network's layers.")] = None,
) -> None:
    """Lists the networks, or one network's layers."""
    client = target.client(context)
    if model:
        layers = client.layers(model)
        target.answer(context, layers, lambda: show.layers_table(layers))
        return
    networks = client.models()
    target.answer(context, networks, lambda: show.models_table(networks))


def run(arguments: list[str] | None = None, *, transport: httpx.BaseTransport | None = None) -> int:
    """Runs the command and returns its exit code. Tests hand in a transport."""
    complain = Console(stderr=True, style="red", highlight=False, markup=False, soft_wrap=True)
    try:
        app(args=arguments, obj=transport)
    except SystemExit as exc:  # typer always leaves by this one
        return exc.code if isinstance(exc.code, int) else 0
    except Refused as exc:
        for mistake in exc.problem.errors:
            complain.print(f"{mistake.path}: {mistake.detail}")
        if not exc.problem.errors:
            complain.print(str(exc))
        return REFUSED
    except ServerAway as exc:
        complain.print(str(exc))
        return AWAY
    except DreamError as exc:
        complain.print(str(exc))
        return UNSUCCESSFUL
    return 0


def main() -> None:
    sys.exit(run())


def _follow(client: DreamClient, job: JobView, output: Path | None) -> None:
    console = Console()
    try:
        with show.Watch(console) as watch:
            ended = client.wait(job.id, watch.update)
    except KeyboardInterrupt:
        console.print(f"The job goes on; `dream status {job.id}` shows it, `dream cancel {job.id}` ends it.")
        raise
    if ended.state is not JobState.SUCCEEDED:
        why = f": {ended.error.message}" if ended.error else "."
        Console(stderr=True).print(f"The job {ended.state}{why}", style="red", markup=False)
        raise typer.Exit(UNSUCCESSFUL)
    if output:
        client.download(job.id, output)
        console.print(f"saved {output}")


def _follow_all(client: DreamClient, jobs: list[JobView], output: Path | None) -> None:
    """All in one view; then saves what succeeded into the folder."""
    ended = show.watch_all(Console(), client, [job.id for job in jobs])
    dreamt = [job for job in ended if job.state is JobState.SUCCEEDED]
    if output:
        output.mkdir(parents=True, exist_ok=True)
        for job in dreamt:
            client.download(job.id, output / f"{job.id}.png")
        Console().print(f"saved {len(dreamt)} in {output}", markup=False)
    if len(dreamt) < len(ended):
        raise typer.Exit(UNSUCCESSFUL)


def _look(client: DreamClient, name: str) -> dict[str, Any]:
    presets = {preset.name: preset.params for preset in client.presets().presets}
    if name not in presets:
        raise typer.BadParameter(f"there is no look '{name}'; known are {', '.join(presets)}")
    return presets[name]


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        chosen = json.loads(path.read_text())
    except ValueError as exc:
        raise typer.BadParameter(f"{path} is not JSON: {exc}") from exc
    if not isinstance(chosen, dict):
        raise typer.BadParameter(f"{path} must hold a JSON object")
    return chosen


if __name__ == "__main__":
    main()
