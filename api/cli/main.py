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

from api.cli import connection, display, keys_commands, submit_commands
from api.cli.connection import AWAY, REFUSED, UNSUCCESSFUL, Target
from api.client.dream_client import Refused, ServerAway
from shared.errors import DreamError
from shared.jobs import JobState

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(keys_commands.app, name="keys")
app.command()(submit_commands.submit)
app.command()(submit_commands.again)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as submit and list show it.")]


@app.callback()
def _options(
    context: typer.Context,
    *,
    server: Annotated[
        str | None,
        typer.Option(envvar="DREAM_URL", help="Address of the API; by default that of the local stack in this folder."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="DREAM_KEY", help="API key, where the server wants one.", show_envvar=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one line of JSON per record.")] = False,
) -> None:
    """Turns photographs into DeepDreams on a Dreamqueue server.

    Exit codes: 0 done, 1 a job did not succeed, 2 wrong usage, 3 the server refused, 4 the server is away, 130 Ctrl-C.
    DREAM_KEY holds the API key, where one is needed.
    """
    context.obj = Target(url=server or None, key=key or None, transport=context.obj, json=as_json)


@app.command()
def looks(context: typer.Context) -> None:
    """Lists the looks and the classic recipes."""
    presets = connection.client(context).presets()
    connection.answer(context, presets, lambda: display.presets_table(presets))


@app.command()
def status(context: typer.Context, job: JobId) -> None:
    """Shows how a job is doing."""
    found = connection.client(context).get(job)
    connection.answer(context, found, lambda: display.job_table(found))


@app.command()
def watch(context: typer.Context, job: Annotated[list[str], typer.Argument(metavar="JOB...")]) -> None:
    """Follows several jobs in one view until all have ended."""
    client = connection.client(context)
    submit_commands.follow_all(context, client, [client.get(job_id) for job_id in job], None)


@app.command()
def events(context: typer.Context, job: JobId) -> None:
    """Prints what happens to a job as it happens, one line of JSON each."""
    for event in connection.client(context).events(job):
        sys.stdout.write(json.dumps({"event": event.name, "id": event.id, "data": event.data}) + "\n")
        sys.stdout.flush()


@app.command()
def download(
    context: typer.Context, job: JobId, output: Annotated[Path, typer.Option("--output", "-o")] = Path("dream.png")
) -> None:
    """Saves a finished dream; a download that broke off goes on where it was."""
    connection.client(context).download(job, output)
    connection.console(context).print(f"saved {output}", markup=False)


@app.command()
def retry(context: typer.Context, job: JobId) -> None:
    """Tries a failed job again, from its last checkpoint."""
    again = connection.client(context).retry(job)
    connection.answer(context, again, lambda: f"{job} is {again.state}")


@app.command()
def delete(context: typer.Context, job: JobId) -> None:
    """Removes a job and all its pictures, for good."""
    connection.client(context).delete(job)
    connection.console(context).print(f"{job} is deleted", markup=False)


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[list[JobState] | None, typer.Option(help="Only this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """Lists your jobs, newest first."""
    page = connection.client(context).list_jobs(states=tuple(state or ()), limit=limit)
    connection.answer(context, page, lambda: display.jobs_table(page) if page.jobs else "No jobs.")


@app.command()
def cancel(context: typer.Context, job: JobId) -> None:
    """Ends a job: a waiting one at once, a running one in a moment."""
    ended = connection.client(context).cancel(job)
    connection.answer(context, ended, lambda: f"{job} is {ended.state}")


@app.command()
def models(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="List this network's layers.")] = None,
) -> None:
    """Lists the networks, or one network's layers."""
    client = connection.client(context)
    if model:
        layers = client.layers(model)
        connection.answer(context, layers, lambda: display.layers_table(layers))
        return
    networks = client.models()
    connection.answer(context, networks, lambda: display.models_table(networks))


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
