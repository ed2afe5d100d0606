"""The `dream looks`, `models` and `fetch` commands, and the check that a network can run before a job is submitted."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from api.cli import connection, display
from api.cli.connection import UNAVAILABLE, UNSUCCESSFUL
from api.client import DreamClient
from api.client.steps import POLL_S
from api.schemas.network_views import ModelView
from shared.clock import Clock, SystemClock

TAKEN_UP_S = 20.0  # within which a worker takes a request up


def looks(context: typer.Context) -> None:
    """Lists the presets: looks and classic recipes."""
    presets = connection.client(context).presets()
    connection.print_record(context, presets, lambda: display.presets_table(presets))


def models(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="A network, to list its layers.")] = None,
) -> None:
    """Lists the networks, or one network's layers."""
    client = connection.client(context)
    if model:
        layers = client.layers(model)
        connection.print_record(context, layers, lambda: display.layers_table(layers))
        return
    networks = client.models()
    connection.print_record(context, networks, lambda: display.models_table(networks))


def fetch(
    context: typer.Context, model: Annotated[str, typer.Argument(help="A network, for example googlenet.")]
) -> None:
    """Has the workers fetch a network's weights, and waits until one of them serves it.

    If the server requires keys, DREAM_KEY must hold the admin key.
    """
    client = connection.client(context)
    fetched = wait_for_fetch(client, client.fetch_model(model), connection.console(context), SystemClock())
    if failure := failure_of(fetched):
        Console(stderr=True).print(failure, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(UNSUCCESSFUL)
    connection.print_record(context, fetched, lambda: f"{model} is ready")


def check_available(client: DreamClient, model: str, *, anyway: bool) -> None:
    """Warns if no worker can run a job of that network now; ends the command if the job would wait for an operator."""
    networks = client.models().models
    network = next((network for network in networks if network.name == model), None)
    if network is None or network.availability in {"ready", None}:  # the server refuses an unknown one
        return
    warn = Console(stderr=True, style="yellow", markup=False, soft_wrap=True)
    if not any(other.availability == "ready" for other in networks):
        warn.print("No worker is running; the job waits for one.")
    elif network.fetched_on_demand:
        warn.print(f"A worker fetches the weights of {network.title} first ({network.size_bytes / 1e6:.0f} MB).")
    else:
        advice = f"an operator can have it fetched: dream fetch {model}"
        if network.availability == "unavailable":
            advice = f"an operator can install it on a worker: dream-worker fetch {model}"
        warn.print(f"No running worker has the network {model}; {advice}.")
        if not anyway:
            warn.print("Nothing was submitted. `dream models` lists what is ready; --anyway submits the job anyhow.")
            raise typer.Exit(UNAVAILABLE)


def failure_of(fetched: ModelView) -> str | None:
    """Returns why the network is not ready after `wait_for_fetch`, as a sentence; None if it is ready."""
    if fetched.availability == "ready":
        return None
    reason = fetched.fetch.error if fetched.fetch else "No worker has taken the request up."
    return f"{fetched.name} was not fetched: {reason}"


def wait_for_fetch(client: DreamClient, requested: ModelView, console: Console, clock: Clock) -> ModelView:
    """Shows the progress until the network is ready, its fetch has failed, or no worker takes the request up."""
    network, limit = requested, clock.monotonic() + TAKEN_UP_S
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"fetching {requested.name}", total=requested.size_bytes or None)
        while network.availability == "fetchable":
            fetch = network.fetch
            if fetch is None or fetch == requested.fetch:  # not taken up yet: an error is that of an earlier request
                if clock.monotonic() > limit:
                    break
            elif fetch.error is not None:
                break
            else:
                limit = clock.monotonic() + TAKEN_UP_S
                bar.update(task, completed=fetch.fetched_bytes, total=fetch.total_bytes or requested.size_bytes or None)
            clock.sleep(POLL_S)
            network = next(found for found in client.models().models if found.name == requested.name)
    return network
