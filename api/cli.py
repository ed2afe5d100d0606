"""The `dream` command.

Exit codes: 0 done, 1 the job did not succeed, 2 wrong usage, 3 the server refused, 4 the server is away, 130 Ctrl-C.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from api import show
from api.again import differences, other_pictures, read_recipe
from api.client import DreamClient, Refused, ServerAway
from api.schemas import JobView
from shared import settings
from shared.errors import DreamError
from shared.jobs import JobState

UNSUCCESSFUL, REFUSED, AWAY = 1, 3, 4
STACK_FILE = Path(".dream/stack.json")  # the local stack writes its addresses there

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
OtherImage = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A PNG, JPEG or WebP file.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as submit and list show it.")]


@dataclass(frozen=True)
class Target:
    """Which server is meant; looked for only once it is needed, so that `--help` works without one."""

    url: str | None
    transport: httpx.BaseTransport | None


@app.callback()
def _options(
    context: typer.Context,
    server: Annotated[
        str | None, typer.Option(help="The api's address; else DREAM_URL, else the local stack of this folder.")
    ] = None,
) -> None:
    """Turns photographs into DeepDreams on a Dreamqueue server."""
    context.obj = Target(url=server, transport=context.obj)


@app.command()
def submit(  # noqa: PLR0913 - typer reads the options from here
    context: typer.Context,
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A PNG, JPEG or WebP file.")],
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
        Path | None, typer.Option("--output", "-o", help="Save the dream here; stays until it is there.")
    ] = None,
) -> None:
    """Submits a photograph. Prints the job's id."""
    client = _client(context)
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
    job = client.submit(image, chosen, guide=guide, mask=mask, **options)
    Console().print(job.id)
    if watch or output:
        _follow(client, job, output)


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
    client = _client(context)
    job = client.submit(image, recipe["params"], guide=guide, mask=mask, kind=recipe.get("kind", "dream"))
    _follow(client, job, output)
    for sentence in differences(recipe, client.report(job.id)):
        warn.print(f"Perhaps not the same: {sentence}.")


@app.command()
def looks(context: typer.Context) -> None:
    """Lists the looks and the classic recipes."""
    Console().print(show.presets_table(_client(context).presets()))


@app.command()
def status(context: typer.Context, job: JobId) -> None:
    """Shows how a job is doing."""
    Console().print(show.job_table(_client(context).get(job)))


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[list[JobState] | None, typer.Option(help="Only this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """Lists your jobs, newest first."""
    page = _client(context).list_jobs(states=tuple(state or ()), limit=limit)
    Console().print(show.jobs_table(page) if page.jobs else "No jobs.")


@app.command()
def cancel(context: typer.Context, job: JobId) -> None:
    """Ends a job: a waiting one at once, a running one in a moment."""
    Console().print(f"{job} is {_client(context).cancel(job).state}")


@app.command()
def models(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="List this network's layers.")] = None,
) -> None:
    """Lists the networks, or one network's layers."""
    client = _client(context)
    Console().print(show.layers_table(client.layers(model)) if model else show.models_table(client.models()))


def default_server() -> str:
    """From DREAM_URL, else from the stack that runs in this folder. Raises ServerAway."""
    configured = settings.load().url
    if configured:
        return configured
    try:
        return str(json.loads(STACK_FILE.read_text())["api_url"])
    except FileNotFoundError as exc:
        raise ServerAway(
            "No server is known: start one here with `make up`, or name one with --server or DREAM_URL."
        ) from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ServerAway(f"{STACK_FILE} does not say where the server is; is `make up` still starting?") from exc


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


def _client(context: typer.Context) -> DreamClient:
    target: Target = context.obj
    return context.with_resource(DreamClient(target.url or default_server(), transport=target.transport))


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
