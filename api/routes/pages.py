"""Serves the web page: one HTML shell for all views, and its static files. Nothing comes from third parties."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, request
from werkzeug.exceptions import HTTPException

from api import request_context
from api.http import problem_responses

bp = Blueprint("pages", __name__)

WEB = Path(__file__).resolve().parent.parent / "web"
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
TYPES |= {".webp": "image/webp", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json"}
SERVED = frozenset({*TYPES, ".png", ".txt"})
COMPRESSED = frozenset({".woff2", ".webp", ".png"})  # gzip would make them larger
A_YEAR_S = 365 * 86400


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file of the page, ready to send."""

    body: bytes
    zipped: bytes | None
    mimetype: str


@dataclass(frozen=True)
class Site:
    """All files of the page. Their addresses contain the version, so browsers may cache them indefinitely."""

    version: str
    shell: Asset
    files: dict[str, Asset]


@cache
def site() -> Site:
    """Reads all files, once per process; a few hundred kilobytes."""
    digest = hashlib.sha256()
    files = {}
    for path in sorted(WEB.rglob("*")):
        if path.suffix in SERVED and path.is_file():
            name, body = path.relative_to(WEB).as_posix(), path.read_bytes()
            digest.update(name.encode() + b"\0" + hashlib.sha256(body).digest())
            files[name] = _asset(path.suffix, body)
    version = digest.hexdigest()[:12]
    shell = files.pop("index.html").body.replace(b"{{version}}", version.encode())
    return Site(version, _asset(".html", shell), files)


@cache
def storage_origin() -> str:
    """Returns the origin of presigned URLs, for the content security policy; empty if it is not HTTP."""
    address = urlsplit(request_context.jobs().storage.presigned_get("origin", expires_s=1))
    return f"{address.scheme}://{address.netloc}" if address.scheme in {"http", "https"} else ""


@bp.get("/")
@bp.get("/gallery")
@bp.get("/layers")
@bp.get("/status")
@bp.get("/login")
@bp.get("/jobs/<job_id>")
def shell(job_id: str | None = None) -> Response:  # noqa: ARG001 - the script reads it from the address
    """Serves the same HTML for every view; the script reads the view from the address."""
    response = _send(site().shell)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Content-Security-Policy"] = _policy()
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    return response


@bp.app_errorhandler(HTTPStatus.NOT_FOUND)
def not_found(error: HTTPException) -> Response:
    """Serves the shell to a person who has followed a link to nowhere: the script says so, and offers the way back.

    Programs get a problem document: none of them prefers HTML outside the API and the page's files.
    """
    prefers_html = request.accept_mimetypes.best_match(["application/problem+json", "text/html"]) == "text/html"
    if request.method != "GET" or not prefers_html or request.path.startswith(("/v1/", "/web/")):
        return problem_responses.from_framework(error)
    response = shell()
    response.status_code = HTTPStatus.NOT_FOUND
    return response


@bp.get("/favicon.ico")
def favicon() -> Response:
    """Serves the icon to clients that request it without reading the page."""
    return file(site().version, "icon.png")


@bp.get("/web/<version>/<path:name>")
def file(version: str, name: str) -> Response:
    """Serves a file of the page. An older version's address gets the current file, uncached."""
    asset = site().files.get(name)
    if asset is None:
        abort(404)
    response = _send(asset)
    current = version == site().version
    response.headers["Cache-Control"] = f"public, max-age={A_YEAR_S}, immutable" if current else "no-cache"
    return response


def _asset(suffix: str, body: bytes) -> Asset:
    zipped = None if suffix in COMPRESSED else gzip.compress(body, mtime=0)
    mimetype = TYPES.get(suffix) or mimetypes.guess_type(f"file{suffix}")[0] or "application/octet-stream"
    return Asset(body=body, zipped=zipped, mimetype=mimetype)


def _send(asset: Asset) -> Response:
    compressed = asset.zipped is not None and request.accept_encodings["gzip"] > 0
    response = Response(asset.zipped if compressed else asset.body, mimetype=asset.mimetype)
    if asset.zipped is not None:
        response.vary.add("Accept-Encoding")
    if compressed:
        response.content_encoding = "gzip"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.add_etag()
    response.make_conditional(request)
    return response


def _policy() -> str:
    storage = storage_origin()
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        "img-src": f"'self' blob: data: {storage}",
        "connect-src": f"'self' {storage}",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}".strip() for name, value in directives.items())
