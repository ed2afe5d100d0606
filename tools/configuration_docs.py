"""Writes docs/CONFIGURATION.md, the environment variables, from shared/settings.py.

Run: python -m tools.configuration_docs
"""

from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deploy.local.process import ROOT
from shared.settings import PREFIX, Settings

PAGE = ROOT / "docs" / "CONFIGURATION.md"
HEADER = """\
# Configuration

Every environment variable, generated from `shared/settings.py` (`make docs`). An invalid value stops a process at its
start with a message that names the variable and exit code 78. `dream-worker doctor` checks what the values refer to and
reports variables that nothing reads.

| variable | default | meaning |
|---|---|---|
"""
CLIENT = """
The `dream` command reads two more, each also an option:

| variable | option | meaning |
|---|---|---|
| `DREAM_URL` | `--server` | Address of the API; by default that of the local stack in the current folder. |
| `DREAM_KEY` | `--key` | API key, where the server wants one. A secret: never logged. |
"""
BOUNDS = {Ge: ("ge", "at least"), Gt: ("gt", "more than"), Le: ("le", "at most"), Lt: ("lt", "less than")}


def page() -> str:
    """Returns the page's text."""
    rows = (_row(name, field) for name, field in Settings.model_fields.items())
    return HEADER + "".join(rows) + CLIENT


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{PREFIX}{name.upper()}` | {_default(field)} | {meaning(field)} |\n"


def meaning(field: FieldInfo) -> str:
    """Returns the field's description and valid values, for a table cell."""
    choices = _choices(field.annotation)
    return f"{field.description}" + (f" One of {choices}." if choices else _limits(field))


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "the host's name"  # the only default that is computed
    if field.default is None:
        return "unset"
    return f"`{field.default}`" if str(field.default) else "empty"


def _choices(annotation: Any) -> str:  # noqa: ANN401 - any type
    values = getattr(annotation, "__args__", ())
    return ", ".join(f"`{v}`" for v in values) if values and all(isinstance(v, str) for v in values) else ""


def _limits(field: FieldInfo) -> str:
    words = [
        f"{text} {getattr(bound, attribute):g}"
        for bound in field.metadata
        for kind, (attribute, text) in BOUNDS.items()
        if isinstance(bound, kind)
    ]
    secret = " A secret: never logged." if SecretStr in getattr(field.annotation, "__args__", ()) else ""
    return (f" {' and '.join(words).capitalize()}." if words else "") + secret


def main(path: Path = PAGE) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(page())


if __name__ == "__main__":
    main()
