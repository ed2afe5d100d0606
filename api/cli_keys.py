"""`dream keys`: needs the admin key, as DREAM_KEY."""

from typing import Annotated

import typer

from api import show, target

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys; DREAM_KEY must be the admin key.")


@app.command()
def create(
    context: typer.Context,
    owner: Annotated[str, typer.Argument(help="Whose jobs it opens; an owner may have several keys.")],
    name: Annotated[str, typer.Option(help="To tell keys apart: `laptop`.")] = "",
) -> None:
    """Makes a key and prints it, this once."""
    made = target.client(context).make_key(owner, name)
    target.answer(context, made, lambda: made.key)


@app.command("list")
def list_(context: typer.Context) -> None:
    """Lists all keys that were ever made."""
    keys = target.client(context).keys()
    target.answer(context, keys, lambda: show.keys_table(keys))


@app.command()
def revoke(context: typer.Context, key: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Ends a key, within 20 seconds and for good."""
    ended = target.client(context).revoke_key(key)
    target.answer(context, ended, lambda: f"{ended.id} of {ended.owner} is revoked")
