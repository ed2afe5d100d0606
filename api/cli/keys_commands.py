"""The `dream keys` commands. They need the admin key in DREAM_KEY."""

from typing import Annotated

import typer

from api.cli import connection, display
from api.cli.options import AsJson, command, use_json

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys; DREAM_KEY must hold the admin key.")


@app.callback()
def _options(context: typer.Context, *, as_json: AsJson = False) -> None:
    use_json(context, as_json=as_json)


@command(app)
def create(
    context: typer.Context,
    owner: Annotated[
        str, typer.Argument(help="The owner of the jobs that the key opens; an owner can have several keys.")
    ],
    name: Annotated[str, typer.Option(help="A label to tell keys apart, such as `laptop`.")] = "",
) -> None:
    """Creates a key and prints it. It can't be shown again."""
    created = connection.client(context).create_key(owner, name)
    connection.print_record(context, created, lambda: created.key)


@command(app, "list")
def list_(context: typer.Context) -> None:
    """Lists all keys, revoked ones included."""
    keys = connection.client(context).keys()
    connection.print_record(context, keys, lambda: display.keys_table(keys))


@command(app)
def revoke(context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Revokes a key for good; it stops working within 20 seconds."""
    revoked = connection.client(context).revoke_key(key)
    connection.print_record(context, revoked, lambda: f"Revoked {revoked.id} of {revoked.owner}")
