"""The `dream-worker` command: what is done on a worker's machine by hand."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared import settings
from shared.errors import DreamError, InvalidField, InvalidSettings
from shared.networks import catalog

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _options() -> None:
    """Looks after a worker: its networks, and all that it stands on."""


@app.command()
def fetch(
    model: Annotated[str, typer.Argument(help="A network of the catalog, for example inception5h.")],
    source: Annotated[
        str | None, typer.Option("--from", help="http(s)://…, s3://bucket/key or a file, instead of the known address.")
    ] = None,
) -> None:
    """Downloads a network's weights into DREAM_MODEL_DIR, checks them and installs them whole or not at all."""
    from worker.fetch_weights import fetch as fetch_weights  # noqa: PLC0415 - boto3 and httpx are not needed for --help

    configured = settings.load()
    catalog.extend(configured.catalog)
    path = fetch_weights(catalog.model(model), configured, source=source)
    Console().print(f"{model} is ready: {path}", soft_wrap=True)


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Checks Redis, S3, the networks, the GPU and the disk, and says what to do. Exits with 1 if something is bad."""
    from worker.doctor import diagnosis  # noqa: PLC0415 - boto3 and redis are not needed for --help

    findings = diagnosis.examine(settings.load())
    if json:
        told = list(findings)
        typer.echo(diagnosis.as_json(told))
    else:
        told = diagnosis.tell(findings, Console(highlight=False, markup=False, soft_wrap=True))
    raise typer.Exit(0 if diagnosis.fit(told) else 1)


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A frozen graph (.pb), .keras or .h5.")],
    input_node: Annotated[str | None, typer.Option(help="Of a graph: where the picture goes in.")] = None,
) -> None:
    """Prints a model file's catalog entry, layers included, to be put into the file that DREAM_CATALOG names."""
    from worker.networks.describe import catalog_entry  # noqa: PLC0415 - TensorFlow takes seconds

    typer.echo(catalog_entry(file, input_node=input_node))


def main() -> None:
    complain = Console(stderr=True, style="red", highlight=False, markup=False, soft_wrap=True)
    try:
        app()
    except InvalidSettings as exc:
        complain.print(str(exc))
        raise SystemExit(settings.EX_CONFIG) from exc
    except InvalidField as exc:
        complain.print(str(exc))
        raise SystemExit(2) from exc
    except DreamError as exc:
        complain.print(str(exc))
        raise SystemExit(1) from exc


if __name__ == "__main__":
    main()
