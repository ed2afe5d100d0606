"""`make up` and `make down`: the embedded stack on this machine."""

import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.local.embedded_services import MissingProgram
from deploy.local.process import PartFailed
from deploy.local.stack import HOME, AlreadyRunning, Stack, shut_down
from shared.errors import InvalidSettings
from shared.settings import load

LOOK_EVERY_S = 0.5
LONGEST_PAUSE_S = 30.0  # before a part that keeps dying is started again
LIVED_WELL_S = 60.0  # a part that lived this long starts again at once
CANNOT_START = (AlreadyRunning, PartFailed, MissingProgram, InvalidSettings)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Home = Annotated[Path, typer.Option(file_okay=False, help="Where the stack keeps its data.")]
console = Console(highlight=False, soft_wrap=True, markup=False)


@app.command()
def up(
    workers: Annotated[int | None, typer.Option(min=0, max=64, help="How many; unset: one, or one per GPU.")] = None,
    home: Home = HOME,
) -> None:
    """Start everything, print the addresses and stay until Ctrl-C or `make down`."""
    interruptible()
    stack: Stack | None = None
    try:
        stack = new_stack(home, workers)
        stack.start()
        _greet(stack)
        _keep_alive(stack)
    except KeyboardInterrupt:
        console.print("\nstopping; running dreams go back to the queue ...")
    except CANNOT_START as exc:
        console.print(str(exc), style="red")
        raise typer.Exit(1) from exc
    finally:
        uninterruptible()
        if stack:
            stack.stop()
    console.print("stopped")


@app.command()
def down(home: Home = HOME) -> None:
    """Stop what `make up` started, wherever it was started from."""
    ran = shut_down(home)
    console.print(f"stopped {', '.join(ran)}" if ran else "nothing was running")


def new_stack(home: Path, workers: int | None = None) -> Stack:
    """The stack that keeps its data there. A Redis or S3 that the environment names replaces the embedded one."""
    settings = load()
    named = settings.model_fields_set
    embed = set()
    if "redis_url" not in named:
        embed.add("redis")
    if not named & {"s3_url", "s3_bucket"}:
        embed.add("s3")
    return Stack(home, workers=workers, settings=settings, embed=embed, say=console.print)


def interruptible() -> None:
    """A polite request to end, or a closed terminal, is like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # unless started with nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def uninterruptible() -> None:
    """We are ending already, in order."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _greet(stack: Stack) -> None:
    console.print(f"\nDreamqueue is up: {stack.api_url}", style="bold green")
    console.print("  open it in a browser, or see what programs can ask for at /docs")
    console.print(f"  Redis             {stack.settings.redis_url.rsplit('@', 1)[-1]}")
    console.print(f"  S3                {stack.settings.s3_url or 'AWS'}, bucket {stack.settings.s3_bucket}")
    console.print(f"  logs              {stack.home / 'logs'}")
    console.print(f"  credentials       {stack.home / 'stack.json'}")
    console.print("Ctrl-C, or `make down` in another terminal, stops it; what was dreamed is kept.")


def _keep_alive(stack: Stack) -> None:
    """Starts parts again that die, more slowly those that keep dying. Ends by KeyboardInterrupt."""
    started_at = dict.fromkeys(stack.children, time.monotonic())
    pauses_s = dict.fromkeys(stack.children, 0.0)
    while True:
        time.sleep(LOOK_EVERY_S)
        for name in stack.dead():
            ago_s = time.monotonic() - started_at[name]
            if ago_s < pauses_s[name]:
                continue
            pauses_s[name] = 0.0 if ago_s > LIVED_WELL_S else min(LONGEST_PAUSE_S, 2 * pauses_s[name] + 1)
            started_at[name] = time.monotonic()
            console.print(f"{name} has died; starting it again", style="yellow")
            try:
                stack.start_part(name)
            except PartFailed as exc:
                console.print(str(exc), style="red")


if __name__ == "__main__":
    app()
