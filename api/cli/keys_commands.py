"""`dream keys`: needs the admin key, as DREAM_KEY."""

from typing import Annotated

import typer

from api.cli import connection, display

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys; DREAM_KEY must be the admin key.")


@app.command()
def create(
    context: typer.Context,
    owner: Annotated[str, typer.Argument(help="Whose jobs it opens; an owner may have several keys.")],
    name: Annotated[str, typer.Option(help="To tell keys apart: `laptop`.")] = "",
) -> None:
    """Makes a key and prints it, this once."""
    made = connection.client(context).make_key(owner, name)
    connection.answer(context, made, lambda: made.key)


@app.command("list")
def list_(context: typer.Context) -> None:
    """Lists all keys that were ever made."""
    keys = connection.client(context).keys()
    connection.answer(context, keys, lambda: display.keys_table(keys))


@app.command()
def revoke(context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Ends a key, within 20 seconds and for good."""
    ended = connection.client(context).revoke_key(key)
    connection.answer(context, ended, lambda: f"{ended.id} of {ended.owner} is revoked")
