"""Which server the `dream` command means, and how it answers: in words, or as JSON for scripts."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType

from api.client.dream_client import DreamClient, ServerAway

UNSUCCESSFUL, REFUSED, AWAY = 1, 3, 4  # exit codes
STACK_FILE = Path(".dream/stack.json")  # the local stack writes its addresses there


@dataclass(frozen=True)
class Target:
    """What the global options say. The server is looked up when a command needs it, so `--help` works without one."""

    url: str | None
    key: str | None
    transport: httpx.BaseTransport | None
    json: bool = False


def client(context: typer.Context) -> DreamClient:
    target: Target = context.obj
    return context.with_resource(DreamClient(target.url or local_server(), key=target.key, transport=target.transport))


def answer(context: typer.Context, record: BaseModel, render: Callable[[], RenderableType]) -> None:
    """Prints the record as one line of JSON if that was asked for, else for people."""
    target: Target = context.obj
    if target.json:
        _write(record)
    else:
        Console().print(render())


def record(context: typer.Context, record: BaseModel) -> None:
    """Prints it where JSON was asked for; people have seen it already."""
    target: Target = context.obj
    if target.json:
        _write(record)


def _write(record: BaseModel) -> None:
    sys.stdout.write(record.model_dump_json() + "\n")
    sys.stdout.flush()


def console(context: typer.Context) -> Console:
    """Where words and moving bars go: not among the records that a script reads."""
    target: Target = context.obj
    return Console(stderr=target.json)


def local_server() -> str:
    """Returns the address of the stack that runs in this folder. Raises ServerAway."""
    try:
        return str(json.loads(STACK_FILE.read_text())["api_url"])
    except FileNotFoundError as exc:
        raise ServerAway(
            "No server is known: start one here with `make up`, or name one with --server or DREAM_URL."
        ) from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ServerAway(f"{STACK_FILE} does not say where the server is; is `make up` still starting?") from exc
