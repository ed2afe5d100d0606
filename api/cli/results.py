"""Chooses the files that results are saved to, and checks them before anything is submitted."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from shared.s3 import object_keys

FORMATS = {".png": ("png", "png16"), ".jpg": ("jpeg",), ".jpeg": ("jpeg",), ".webp": ("webp",)}  # by ending


def is_folder(output: Path, photographs: int) -> bool:
    """Returns whether the results go into a folder of that name. Raises typer.BadParameter for one file for several."""
    if photographs == 1:
        return output.is_dir()
    if not output.is_dir() and (output.exists() or output.suffix.lower() in FORMATS):
        raise _bad(f"{output} is one file, but there are {photographs} photographs; name a folder.")
    return True


def check_writable(output: Path, *, folder: bool) -> None:
    """Raises typer.BadParameter if the result can't be saved there. A folder is created later, with its parents."""
    parent = output if folder else output.parent
    while folder and not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.exists():
        raise _bad(f"The folder {parent} does not exist.")
    if not parent.is_dir():
        raise _bad(f"{parent} is not a folder.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _bad(f"The folder {parent} is not writable.")


def format_of(output: Path, params: Mapping[str, Any], *, fixed: bool) -> str | None:
    """Returns the format for the file's ending: that of the parameters if it fits; None without an ending.

    fixed: the format of the parameters must stay.   Raises typer.BadParameter if the ending does not allow it.
    """
    asked: str | None = params.get("format")
    ending = output.suffix.lower()
    if not ending:
        return asked
    if ending not in FORMATS:
        raise _bad(f"{output} has the ending of another format; use one of {', '.join(FORMATS)}.")
    if asked in FORMATS[ending]:
        return asked
    if fixed:
        right = next(known for known, formats in FORMATS.items() if asked in formats)
        raise _bad(f"{output} does not fit the format {asked}; use the ending {right}.")
    return FORMATS[ending][0]


def check_file(output: Path, params: Mapping[str, Any]) -> None:
    """Raises typer.BadParameter if a result of those parameters can't be saved under that name."""
    check_writable(output, folder=output.is_dir())
    if not output.is_dir():
        format_of(output, {"format": params.get("format", "png")}, fixed=True)


def ending_of(picture_format: str) -> str:
    return Path(object_keys.result(picture_format)).suffix


def _bad(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="--output")
