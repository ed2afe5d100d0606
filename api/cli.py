"""The `dream` command.

Exit codes: 0 done, 1 the job did not succeed, 2 wrong usage, 3 the server refused, 4 the server is away, 130 Ctrl-C.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from api import cli_keys, cli_submit, show, target
from api.client import Refused, ServerAway
from api.target import AWAY, REFUSED, UNSUCCESSFUL, Target
from shared.errors import DreamError
from shared.jobs import JobState

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(cli_keys.app, name="keys")
app.command()(cli_submit.submit)
app.command()(cli_submit.again)
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
def looks(context: typer.Context) -> None:
    """Lists the looks and the classic recipes."""
    presets = target.client(context).presets()
    target.answer(context, presets, lambda: show.presets_table(presets))


@app.command()
def status(context: typer.Context, job: JobId) -> None:
    """Shows how a job is doing."""
    found = target.client(context).get(job)
    target.answer(context, found, lambda: show.job_table(found))


@app.command()
def watch(context: typer.Context, job: Annotated[list[str], typer.Argument(metavar="JOB...")]) -> None:
    """Follows several jobs in one view until all have ended."""
    client = target.client(context)
    cli_submit.follow_all(context, client, [client.get(job_id) for job_id in job], None)


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
    target.console(context).print(f"saved {output}", markup=False)


@app.command()
def retry(context: typer.Context, job: JobId) -> None:
    """Tries a failed job again, from its last checkpoint."""
    again = target.client(context).retry(job)
    target.answer(context, again, lambda: f"{job} is {again.state}")


@app.command()
def delete(context: typer.Context, job: JobId) -> None:
    """Removes a job and all its pictures, for good."""
    target.client(context).delete(job)
    target.console(context).print(f"{job} is deleted", markup=False)


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


if __name__ == "__main__":
    main()
