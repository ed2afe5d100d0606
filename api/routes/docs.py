"""Renders the OpenAPI document as an HTML page, without scripts or third-party files."""

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app
from jinja2 import Environment
from markupsafe import Markup, escape

bp = Blueprint("docs", __name__)

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
TABLE = """<table><caption>Fields</caption>{% for name, field in schema.properties.items() %}<tr>
<th scope="row"><code>{{ name }}</code>{{ ' required' if name in schema.get('required', []) }}</th>
<td>{{ field|shape }}</td><td>{{ (field.description or '')|ticks }}</td></tr>{% endfor %}</table>"""
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


@bp.get("/docs")
def docs() -> Response:
    """Serves the API reference page."""
    style = (TEMPLATES / "docs.css").read_text()
    response = Response(_page(style), mimetype="text/html")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-cache"
    return response


@cache
def _page(style: str) -> str:
    spec: dict[str, Any] = current_app.spec  # type: ignore[attr-defined] # set by APIFlask
    environment = Environment(autoescape=True)
    environment.filters |= {"shape": _shape, "ticks": _ticks, "pretty": _pretty}
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in [*spec["paths"].items(), *spec["webhooks"].items()]:
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append({**operation, "path": path, "method": method.upper()})
    rows = environment.from_string(TABLE)
    template = environment.from_string((TEMPLATES / "docs.html").read_text())
    return template.render(
        spec=spec,
        groups=groups,
        style=style,
        table=lambda schema: Markup(rows.render(schema=schema)),  # noqa: S704 - escaped by the template
    )


def _shape(schema: dict[str, Any]) -> Markup:
    """Describes a type in a few words, with a link if it is a record."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return Markup(" or ").join(_shape(choice) for choice in schema[keyword])
    if "const" in schema or "enum" in schema:
        return Markup(", ").join(_code(choice) for choice in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array" and "items" in schema:
        return Markup("list of {}").format(_shape(schema["items"]))
    bounds = [f"{words} {schema[bound]:g}" for bound, words in BOUNDS.items() if bound in schema]
    default = [f"default {json.dumps(schema['default'])}"] if schema.get("default") is not None else []
    return escape(", ".join([schema.get("type", "anything"), *bounds, *default]))


def _code(value: object) -> Markup:
    return Markup("<code>{}</code>").format(value)


def _ticks(text: str) -> Markup:
    """Escapes the text and sets what is between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
