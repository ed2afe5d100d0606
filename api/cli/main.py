"""The `dream` command.

Exit codes: 0 done, 1 job did not succeed, 2 usage error, 3 refused by the server, 4 server or
network unavailable, 130 Ctrl-C.
"""

import io
import json
import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from api.cli import connection, display, keys_commands, network_commands, results, submit_commands
from api.cli.connection import REFUSED, UNAVAILABLE, UNSUCCESSFUL, Target
from api.cli.options import AsJson, command, use_json
from api.client import Refused, ServerUnavailable
from shared.errors import DreamError
from shared.jobs.job import JobState
from shared.version import VERSION

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(keys_commands.app, name="keys")
command(app)(submit_commands.submit)
command(app)(submit_commands.again)
command(app)(network_commands.looks)
command(app)(network_commands.models)
command(app)(network_commands.fetch)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as printed by `submit` and `list`.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes the option's value
    if wanted:
        sys.stdout.write(f"dream {VERSION}\n")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    *,
    server: Annotated[
        str | None,
        typer.Option(envvar="DREAM_URL", help="Address of the API; by default, the local stack in this folder."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="DREAM_KEY", help="API key, if the server requires one.", show_envvar=True)
    ] = None,
    as_json: AsJson = False,
    version: Annotated[  # noqa: ARG001 - its callback prints and exits
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turns photographs into DeepDreams on a Dreamqueue server.

    Exit codes: 0 done, 1 job did not succeed, 2 usage error, 3 refused by the
    server, 4 server or network unavailable, 130 Ctrl-C.

    DREAM_KEY holds the API key, if the server requires one.
    """
    target: Target = context.obj
    target.url, target.key = server or None, key or None
    use_json(context, as_json=as_json)


@command(app)
def status(context: typer.Context, job: JobId) -> None:
    """Shows the state and progress of a job."""
    found = connection.client(context).get(job)
    connection.print_record(context, found, lambda: display.job_table(found))


@command(app)
def watch(
    context: typer.Context,
    job: Annotated[list[str], typer.Argument(metavar="JOB", help="The jobs' ids, as printed by `submit` and `list`.")],
) -> None:
    """Shows several jobs in one live view until all have ended."""
    client = connection.client(context)
    submit_commands.watch_all(context, client, [client.get(job_id) for job_id in job], None)


@command(app)
def events(context: typer.Context, job: JobId) -> None:
    """Prints a job's events as they happen, one line of JSON each."""
    for event in connection.client(context).events(job):
        sys.stdout.write(json.dumps({"event": event.name, "id": event.id, "data": event.data}) + "\n")
        sys.stdout.flush()


@command(app)
def download(
    context: typer.Context,
    job: JobId,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The file, or a folder, where it is named after the photograph."),
    ] = Path(),
) -> None:
    """Saves a finished dream. Run it again to resume an interrupted download."""
    client = connection.client(context)
    results.check_file(output, client.get(job).params.model_dump())
    saved = client.download(job, output)
    connection.console(context).print(f"Saved {saved}")


@command(app)
def rename(
    context: typer.Context, job: JobId, name: Annotated[str, typer.Argument(help="The new name; empty for none.")]
) -> None:
    """Renames a job. Downloads are named after it."""
    renamed = connection.client(context).rename(job, name or None)
    connection.print_record(
        context, renamed, lambda: f"{job} is named {renamed.name}" if renamed.name else f"{job} has no name"
    )


@command(app)
def retry(
    context: typer.Context,
    job: JobId,
    *,
    deadline_s: Annotated[float | None, typer.Option(help="A new deadline, in seconds from now.")] = None,
    no_deadline: Annotated[bool, typer.Option("--no-deadline", help="Remove the deadline.")] = False,
) -> None:
    """Retries a failed or canceled job from its last checkpoint."""
    options = {"deadline_s": deadline_s} if deadline_s is not None or no_deadline else {}
    retried = connection.client(context).retry(job, **options)
    connection.print_record(context, retried, lambda: f"{job} is {retried.state}")


@command(app)
def delete(context: typer.Context, job: JobId) -> None:
    """Deletes a job and all its images for good."""
    connection.client(context).delete(job)
    connection.console(context).print(f"Deleted {job}")


@command(app, "list")
def list_(
    context: typer.Context,
    state: Annotated[list[JobState] | None, typer.Option(help="Show only this state; can be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """Lists your jobs, newest first."""
    page = connection.client(context).list_jobs(states=tuple(state or ()), limit=limit)
    connection.print_record(context, page, lambda: display.jobs_table(page) if page.jobs else "No jobs.")


@command(app)
def cancel(context: typer.Context, job: JobId) -> None:
    """Cancels a job: a waiting one at once, a running one at its next tile."""
    canceled = connection.client(context).cancel(job)
    connection.print_record(context, canceled, lambda: f"{job} is {canceled.state}")


def run(arguments: list[str] | None = None, *, transport: httpx.BaseTransport | None = None) -> int:
    """Runs the command and returns its exit code. Tests pass a transport."""
    errors = Console(stderr=True, style="red", highlight=False, markup=False, soft_wrap=True)
    target = Target(transport=transport)
    try:
        app(args=arguments, obj=target)
    except SystemExit as exc:  # typer always ends with this
        return exc.code if isinstance(exc.code, int) else 0
    except Refused as exc:
        errors.print(connection.explained(exc, target))
        return REFUSED
    except ServerUnavailable as exc:
        errors.print(str(exc))
        return UNAVAILABLE
    except DreamError as exc:
        errors.print(str(exc))
        return UNSUCCESSFUL
    except OSError as exc:  # a file that can't be read or written
        errors.print(f"{exc.filename}: {exc.strerror}." if exc.filename else str(exc))
        return UNSUCCESSFUL
    return 0


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names hold letters that a terminal's encoding lacks
    sys.exit(run())


if __name__ == "__main__":
    main()
