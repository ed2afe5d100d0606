"""Who asks: a key, a session cookie that stands for one, or, where nobody has to log in, whoever is on this machine."""

import hashlib
import hmac
from typing import NoReturn
from urllib.parse import urlsplit

from apiflask import APIFlask
from flask import g, request
from itsdangerous import BadSignature, TimestampSigner

from api import request_context
from api.access.bind_guard import is_loopback
from shared.api_keys import ApiKey
from shared.errors import Forbidden, Unauthorized

COOKIE = "dream_session"
OPEN = {"/v1/session"}  # under /v1; whoever wants to log in has no key yet
SAFE = {"GET", "HEAD", "OPTIONS"}
ADMIN = "admin"


def install(app: APIFlask) -> None:
    app.before_request(identify)


def keys_required() -> bool:
    return request_context.services().settings.keys == "on"


def identify() -> None:
    """Sets whose request this is, or refuses it."""
    g.admin = False
    g.counted = f"address:{request.remote_addr}"
    if not request.path.startswith("/v1/"):
        return
    _refuse_other_sites()
    if not keys_required():
        if request_context.services().settings.keys is None:
            _refuse_other_machines()
        g.owner = request_context.LOCAL_OWNER
        g.admin = _is_admin(_bearer())
        return
    owner = _by_key(_bearer()) or _by_cookie()
    if owner is not None:
        g.owner = owner
        g.counted = f"owner:{owner}"
    elif not g.admin and request.path not in OPEN:
        _turn_away(Unauthorized())
    elif g.admin and not request.path.startswith("/v1/keys"):
        raise Forbidden("The admin key only makes, lists and revokes keys; make one for yourself.")


def require_admin() -> None:
    if request_context.services().settings.admin_key is None:
        raise Forbidden("Keys can't be managed here: the service was started without DREAM_ADMIN_KEY.")
    if not g.admin:
        raise Forbidden("Only the admin key makes, lists and revokes keys.")


def log_in(key: str) -> tuple[str, str | None]:
    """The owner and the cookie's value; no cookie where nobody has to log in. Raises Unauthorized."""
    if not keys_required():
        return request_context.LOCAL_OWNER, None
    record = _find(key)
    if record is None:
        _turn_away(Unauthorized("This key is not valid.", path="key"))
    return record.owner, _signer().sign(record.id).decode()


def _bearer() -> str | None:
    header = request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _by_key(key: str | None) -> str | None:
    if key is None:
        return None
    if _is_admin(key):
        g.admin = True
        g.counted = f"owner:{ADMIN}"
        return None
    record = _find(key)
    if record is None:  # a wrong key is told so, whatever cookie comes with it
        _turn_away(Unauthorized("This key is not valid; it may have been revoked."))
    return record.owner


def _find(key: str) -> ApiKey | None:
    """The key's record; unknown ones are looked up only while not too many from the same address were wrong."""
    services = request_context.services()
    if not services.keyring.is_cached(key):
        services.unauthenticated.refuse(request.remote_addr or "")
    return services.keyring.find(key)


def _turn_away(refusal: Unauthorized) -> NoReturn:
    request_context.services().unauthenticated.count(request.remote_addr or "")
    raise refusal


def _by_cookie() -> str | None:
    cookie = request.cookies.get(COOKIE)
    if not cookie or g.admin:
        return None
    services = request_context.services()
    try:
        key_id = _signer().unsign(cookie, max_age=int(services.settings.session_days * 86400)).decode("ascii")
    except (BadSignature, UnicodeDecodeError):
        return None
    record = services.keyring.by_id(key_id)
    return record.owner if record else None


def _is_admin(key: str | None) -> bool:
    expected = request_context.services().settings.admin_key
    if key is None or expected is None:
        return False
    return hmac.compare_digest(key.encode(), expected.get_secret_value().encode())


def _signer() -> TimestampSigner:
    return TimestampSigner(
        request_context.services().keyring.secret("session"), salt="dream-session", digest_method=hashlib.sha256
    )


def _refuse_other_sites() -> None:
    """Another site's script may send what a form could; its cookies stay behind, a loopback service has none."""
    origin = request.headers.get("Origin")
    if request.method in SAFE or origin is None:
        return
    if urlsplit(origin).netloc != request.host:
        raise Forbidden("Requests from other sites are refused.")


def _refuse_other_machines() -> None:
    """Without keys, and nobody having said so, only this machine is served, under its own name: no DNS rebinding."""
    name = urlsplit(f"//{request.host}").hostname or ""
    if not (is_loopback(request.remote_addr or "") and (name == "localhost" or is_loopback(name))):
        raise Forbidden(
            "Without keys only this machine is served; start the service with DREAM_KEYS=on, or =off to let anyone in."
        )
