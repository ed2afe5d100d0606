"""Writes docs/PARAMETERS.md, the parameters of a dream, from shared/params.py. Run: python -m tools.parameter_docs"""

import json
from pathlib import Path

from pydantic.fields import FieldInfo

from deploy.local.process import ROOT
from shared.params import DreamParams, FeatureMapsParams, Target
from tools.configuration_docs import meaning

PAGE = ROOT / "docs" / "PARAMETERS.md"
HEADER = """\
# Parameters

The fields of `params`, a JSON object, generated from `shared/params.py` (`make docs`). Every field is optional; unknown
fields are refused. `GET /v1/jobs/{id}/report` lists them as they were resolved, and the result carries them in its
metadata: the same parameters give the same picture.

"""
TARGETS = """
## Targets

Each entry of `layers` is an object:

"""
MAPS = """
## Feature maps

A job of kind `feature_maps` draws what a layer detects in an image. Its `params`:

"""


def page() -> str:
    """Returns the page's text."""
    tables = (HEADER, _table(DreamParams.model_fields), TARGETS, _table(Target.model_fields), MAPS)
    return "".join(tables) + _table(FeatureMapsParams.model_fields)


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = "".join(_row(name, field) for name, field in fields.items())
    return f"| parameter | default | meaning |\n|---|---|---|\n{rows}"


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{json.dumps(field.default)}`"
    return f"| `{name}` | {default} | {meaning(field)} |\n"


def main(path: Path = PAGE) -> None:
    path.write_text(page())


if __name__ == "__main__":
    main()
