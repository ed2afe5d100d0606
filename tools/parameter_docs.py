"""The table of parameters in README.md, written from shared/params.py. Run: python -m tools.parameter_docs"""

import json
import re
from pathlib import Path

from pydantic.fields import FieldInfo

from deploy.local.process import ROOT
from shared.params import DreamParams
from tools.configuration_docs import meaning

README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- parameters: .*? -->\n).*?(<!-- end -->)", re.DOTALL)


def table() -> str:
    """Markdown, a row per parameter."""
    rows = [_row(name, field) for name, field in DreamParams.model_fields.items()]
    return "| parameter | default | meaning |\n|---|---|---|\n" + "".join(rows)


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{name}` | `{json.dumps(field.default)}` | {meaning(field)} |\n"


def main(path: Path = README) -> None:
    path.write_text(BLOCK.sub(lambda found: found[1] + table() + found[2], path.read_text()))


if __name__ == "__main__":
    main()
