"""Commands behind `make up` and `make down`: run the embedded stack on this machine."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.local.embedded_services import MissingProgram
from deploy.local.process import ComponentFailed
from deploy.local.stack import HOME, AlreadyRunning, Stack, stop_running_stack
from shared.errors import InvalidSettings
from shared.redis.address import describe
from shared.settings import load

CHECK_INTERVAL_S = 0.5
MAX_RESTART_DELAY_S = 30.0  # before a component that keeps crashing is restarted
STABLE_AFTER_S = 60.0  # a component that ran this long is restarted without a delay
CANNOT_START = (AlreadyRunning, ComponentFailed, MissingProgram, InvalidSettings)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Home = Annotated[Path, typer.Option(file_okay=False, help="Folder for the stack's data.")]
console = Console(highlight=False, soft_wrap=True, markup=False)


@app.command()
def up(
    workers: Annotated[int | None, typer.Option(min=0, max=64, help="Default: one, or one per GPU.")] = None,
    home: Home = HOME,
) -> None:
    """Start the whole service, print its addresses and run until Ctrl-C or `make down`."""
    interrupt_on_signals()
    stack: Stack | None = None
    try:
        stack = new_stack(home, workers)
        stack.start()
        _print_addresses(stack)
        _keep_alive(stack)
    except KeyboardInterrupt:
        console.print("\nStopping; running jobs return to the queue ...")
    except CANNOT_START as exc:
        console.print(str(exc), style="red")
        raise typer.Exit(1) from exc
    finally:
        ignore_stop_signals()
        if stack:
            stack.stop()
    console.print("Stopped.")


@app.command()
def down(home: Home = HOME) -> None:
    """Stop the service that `make up` started, from any terminal."""
    stopped = stop_running_stack(home)
    console.print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


def new_stack(home: Path, workers: int | None = None, env: Mapping[str, str] | None = None) -> Stack:
    """Creates the stack with its data in `home`. A Redis or S3 named by the environment replaces the embedded one.

    env: added to every component's environment.
    """
    settings = load()
    named = settings.model_fields_set
    embed = set()
    if "redis_url" not in named:
        embed.add("redis")
    if not named & {"s3_url", "s3_bucket"}:
        embed.add("s3")
    return Stack(home, workers=workers, settings=settings, embed=embed, env=env, on_progress=console.print)


def interrupt_on_signals() -> None:
    """Handles SIGTERM and a closed terminal (SIGHUP) like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # which is how nohup starts us
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def ignore_stop_signals() -> None:
    """Ignores further stop signals, so that the shutdown runs to its end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _print_addresses(stack: Stack) -> None:
    console.print(f"\nDreamqueue is up: {stack.api_url}", style="bold green")
    console.print("  open it in a browser; /docs lists every API call")
    console.print(f"  Redis             {describe(stack.settings.redis_url)}")
    console.print(f"  S3                {stack.settings.s3_url or 'AWS'}, bucket {stack.settings.s3_bucket}")
    console.print(f"  logs              {stack.home / 'logs'}")
    console.print(f"  credentials       {stack.home / 'stack.json'}")
    console.print("Press Ctrl-C, or run `make down` in another terminal, to stop it. The data is kept.")


def _keep_alive(stack: Stack) -> None:
    """Restarts components that exit, with growing delays if they keep crashing. Runs until KeyboardInterrupt."""
    started_at = dict.fromkeys(stack.children, time.monotonic())
    delays_s = dict.fromkeys(stack.children, 0.0)
    while True:
        time.sleep(CHECK_INTERVAL_S)
        for name in stack.dead():
            age_s = time.monotonic() - started_at[name]
            if age_s < delays_s[name]:
                continue
            delays_s[name] = 0.0 if age_s > STABLE_AFTER_S else min(MAX_RESTART_DELAY_S, 2 * delays_s[name] + 1)
            started_at[name] = time.monotonic()
            console.print(f"{name} exited; restarting it", style="yellow")
            try:
                stack.start_component(name)
            except ComponentFailed as exc:
                console.print(str(exc), style="red")


if __name__ == "__main__":
    app()
