"""Writes the OpenAPI document to api/openapi.json. Run: python -m tools.openapi (`make docs`)"""

import json
from pathlib import Path

from apiflask import APIFlask

from api.app import create_app
from api.wiring import wire
from shared.settings import Settings

COMMITTED = Path(__file__).parent.parent / "api" / "openapi.json"


def text(app: APIFlask) -> str:
    """Returns the document as it is committed."""
    with app.app_context():
        return json.dumps(app.spec, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    settings = Settings()
    COMMITTED.write_text(text(create_app(settings, services=wire(settings))))


if __name__ == "__main__":
    main()
