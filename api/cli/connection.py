"""Connects the `dream` command to a server and prints results: as text, or as JSON for scripts."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType

from api.client import DreamClient, Refused, ServerUnavailable
from shared.errors import Forbidden, Unauthorized

UNSUCCESSFUL, REFUSED, UNAVAILABLE = 1, 3, 4  # exit codes
STACK_FILE = Path(".dream/stack.json")  # the local stack writes its addresses there


@dataclass(kw_only=True)
class Target:
    """The global options. The server is looked up only when a command needs it, so `--help` works without one."""

    transport: httpx.BaseTransport | None = None
    url: str | None = None
    key: str | None = None
    json: bool = False


def client(context: typer.Context) -> DreamClient:
    target: Target = context.obj
    return context.with_resource(DreamClient(target.url or local_server(), key=target.key, transport=target.transport))


def print_record(context: typer.Context, record: BaseModel, render: Callable[[], RenderableType]) -> None:
    """Prints the record: as one line of JSON with `--json`, else as rendered for people."""
    target: Target = context.obj
    if target.json:
        _write_json(record)
    else:
        Console(markup=False).print(render())


def print_json(context: typer.Context, record: BaseModel) -> None:
    """Prints the record as one line of JSON, and nothing without `--json`."""
    target: Target = context.obj
    if target.json:
        _write_json(record)


def _write_json(record: BaseModel) -> None:
    sys.stdout.write(record.model_dump_json() + "\n")
    sys.stdout.flush()


def console(context: typer.Context) -> Console:
    """Returns the console for messages and progress bars: stderr with `--json`, to keep stdout parseable."""
    target: Target = context.obj
    return Console(stderr=target.json, markup=False)


def explained(refused: Refused, target: Target) -> str:
    """Returns what the server says about the refusal, in the command's words where it says what to do about keys."""
    if refused.problem.code == Unauthorized.code:
        if target.key:
            return "The server does not accept the API key; check DREAM_KEY or --key."
        return "The server requires an API key: set DREAM_KEY, or pass --key."
    if refused.problem.code == Forbidden.code:
        return f"{refused} The key comes from DREAM_KEY or --key."
    if refused.problem.errors:
        return "\n".join(f"{error.path}: {error.detail}" for error in refused.problem.errors)
    return str(refused)


def local_server() -> str:
    """Returns the address of the local stack in this folder. Raises ServerUnavailable."""
    try:
        return str(json.loads(STACK_FILE.read_text())["api_url"])
    except FileNotFoundError as exc:
        raise ServerUnavailable(
            "No server found: start one in this folder with `make up`, or pass its address with --server or DREAM_URL."
        ) from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ServerUnavailable(f"{STACK_FILE} holds no server address; wait until `make up` has started.") from exc
