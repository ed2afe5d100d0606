"""The `dream-worker` command: administers a worker's machine."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from shared import settings
from shared.errors import DreamError, InvalidField, InvalidSettings
from shared.networks import catalog
from worker.cli.terminal import native_logs_hidden

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _options() -> None:
    """Installs networks on a worker's machine and checks everything that the worker depends on."""


def _hex(value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise typer.BadParameter("A SHA-256 has 64 hexadecimal digits; sha256sum prints it.")
    return value and value.lower()


@app.command()
def fetch(
    model: Annotated[str, typer.Argument(help="A network of the catalog, for example googlenet.")],
    source: Annotated[
        str | None,
        typer.Option("--from", help="http(s)://…, s3://bucket/key or a file, instead of the known addresses."),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            help="Of a weights file of your own: it is accepted in place of the published one.", callback=_hex
        ),
    ] = None,
) -> None:
    """Downloads a network's weights into DREAM_MODEL_DIR, checks them and installs them atomically."""
    # Imported here: `--help` needs neither boto3 nor httpx.
    from worker.fetch_weights import fetch as fetch_weights  # noqa: PLC0415

    configured = settings.load()
    catalog.extend(configured.catalog)
    network = catalog.model(model)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"fetching {network.name}", total=None)
        path = fetch_weights(
            network,
            configured,
            source=source,
            sha256=sha256,
            on_bytes=lambda done, total: bar.update(task, completed=done, total=total),
        )
    Console(markup=False, highlight=False, soft_wrap=True).print(f"{model} is ready: {path}")


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Checks Redis, S3, the networks, the GPU and the disk, with advice. Exits with 1 if there is an error."""
    from worker.doctor import diagnosis  # noqa: PLC0415 - boto3 and redis are not needed for --help

    findings = diagnosis.examine(settings.load())
    if json:
        found = list(findings)
        typer.echo(diagnosis.as_json(found))
    else:
        found = diagnosis.print_findings(findings, Console(highlight=False, markup=False, soft_wrap=True))
    raise typer.Exit(0 if diagnosis.is_ok(found) else 1)


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A frozen graph (.pb), .keras or .h5.")],
    input_node: Annotated[str | None, typer.Option(help="The graph's image input; default: its placeholder.")] = None,
) -> None:
    """Prints a model file's catalog entry, with its layers, for the file that DREAM_CATALOG names."""
    if file.suffix not in {".pb", ".keras", ".h5", ".hdf5"}:
        raise typer.BadParameter(f"The suffix of {file.name} must be .pb (a frozen graph), .keras or .h5")
    with native_logs_hidden():
        from worker.networks.describe import catalog_entry  # noqa: PLC0415 - TensorFlow takes seconds

    typer.echo(catalog_entry(file, input_node=input_node))


def main() -> None:
    errors = Console(stderr=True, style="red", highlight=False, markup=False, soft_wrap=True)
    try:
        app()
    except InvalidSettings as exc:
        errors.print(str(exc))
        raise SystemExit(settings.EX_CONFIG) from exc
    except InvalidField as exc:
        errors.print(str(exc))
        raise SystemExit(2) from exc
    except DreamError as exc:
        errors.print(str(exc))
        raise SystemExit(1) from exc


if __name__ == "__main__":
    main()
