"""Processes one photograph without a queue: `python -m worker.dream photo.jpg -o out.png`.

TensorFlow takes seconds to load, so this module does not import it before the arguments have been checked.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from shared.errors import DreamError, InvalidField
from shared.networks import catalog
from shared.params import DreamParams, Format
from worker.cli.terminal import check_writable, native_logs_hidden

if TYPE_CHECKING:
    from worker.dream.report import Report
    from worker.dream.types import Image
    from worker.images import Decoded
    from worker.images.raster import Samples

FORMATS: dict[str, Format] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
MAX_PIXELS = 400_000_000  # generous: the user's own machine has to provide the memory


class Photo:
    """The photograph: its pixels, which the engine consumes, and the metadata that the result needs."""

    alpha: "Samples | None" = None
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> "Image":
        decoded = _read(self._path)
        self.alpha, self.notes = decoded.alpha, decoded.notes
        return decoded.image


def main(
    photo: Annotated[
        Path, typer.Argument(help="PNG, JPEG, WebP, GIF, TIFF, HEIC, AVIF or JPEG XL.", exists=True, dir_okay=False)
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="PNG, JPEG or WebP, by its suffix.")] = Path("dream.png"),
    params: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON file; omitted fields have their defaults.")
    ] = None,
    guide: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Amplify what the layers detect in this image.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Dream only where this image is white.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report, JSON, to this file.")] = None,
    model_dir: Annotated[Path, typer.Option(envvar="DREAM_MODEL_DIR", help="Folder of fetched weights.")] = Path(
        "models"
    ),
    own_catalog: Annotated[
        Path | None, typer.Option("--catalog", envvar="DREAM_CATALOG", help="TOML file with networks of your own.")
    ] = None,
) -> None:
    """Runs DeepDream on one photograph, without a queue."""
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    if out.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"The suffix of {out.name} must be one of {', '.join(FORMATS)}")
    for output in filter(None, (out, report)):
        check_writable(output)
    try:
        catalog.extend(own_catalog)
        resolved = catalog.resolve(_read_params(params))
        photograph = Photo(photo)
        result, account = _dream(photograph, resolved, model_dir, console, guide=guide, mask=mask)
        account = _encode(result, account, out, photograph, resolved)
        if report is not None:
            report.write_bytes(account.to_json())
    except InvalidField as exc:
        console.print(f"{params}: {exc.path}: {exc}", style="red")
        raise typer.Exit(1) from exc
    except (DreamError, ValidationError, OSError) as exc:
        console.print(str(exc), style="red")
        raise typer.Exit(1) from exc
    for warning in account.warnings:
        console.print(warning, style="yellow")
    seconds = account.timings
    console.print(f"{out}: {seconds.total_s:.1f} s, {seconds.network_s:.1f} s of them in the network")


def _read_params(path: Path | None) -> DreamParams:
    return DreamParams.model_validate_json(path.read_bytes()) if path else DreamParams()


def _dream(
    photo: Photo, params: DreamParams, model_dir: Path, console: Console, *, guide: Path | None, mask: Path | None
) -> "tuple[Image, Report]":
    with native_logs_hidden():
        from worker import images  # noqa: PLC0415 - these modules import TensorFlow
        from worker.dream import engine  # noqa: PLC0415
        from worker.dream.ascent import device  # noqa: PLC0415
        from worker.dream.inputs import Inputs  # noqa: PLC0415
        from worker.dream.progress.progress_bar import ProgressBar  # noqa: PLC0415
        from worker.networks import registry  # noqa: PLC0415

        device.prepare()
        device.gpu()  # opened here because TensorFlow also logs when it opens its devices
        network = registry.load(params.model, model_dir)

    inputs = Inputs(
        guide=_read(guide).image if guide else None,
        mask=images.mask_of(_read(mask, paper=True).image) if mask else None,
    )
    with ProgressBar(console) as bar:
        return engine.dream(network, photo.read(), params, inputs=inputs, observer=bar)


def _read(path: Path, *, paper: bool = False) -> "Decoded":
    from worker import images  # noqa: PLC0415 - it imports NumPy and OpenCV

    with path.open("rb") as file:
        return images.decode(file, max_pixels=MAX_PIXELS, paper=paper)


def _encode(result: "Image", account: "Report", out: Path, photo: Photo, params: DreamParams) -> "Report":
    """Writes the result. Returns its report with the warnings about the photograph and the result."""
    from worker import images  # noqa: PLC0415 - it imports NumPy and OpenCV

    with out.open("wb") as file:
        encoded = images.encode(result, file, format=_format(out, params), recipe=account.recipe(), alpha=photo.alpha)
    return account.with_warnings((*photo.notes, *encoded.warnings))


def _format(out: Path, params: DreamParams) -> Format:
    """Returns the format of the file's suffix; a PNG has 16 bits if the parameters say so."""
    by_suffix = FORMATS[out.suffix.lower()]
    return "png16" if by_suffix == "png" and params.format == "png16" else by_suffix


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app(prog_name="python -m worker.dream")
