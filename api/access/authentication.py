"""Authenticates requests: by API key, by session cookie, or as the local owner where no key is required."""

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
PUBLIC_PATHS = {"/v1/session"}  # under /v1; a client that logs in has no key yet
ADMIN_PATHS = ("/v1/keys", "/v1/models")
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
ADMIN = "admin"
SAME_SITE = {"same-origin", "none"}  # of Sec-Fetch-Site; none: the user typed the address
OTHER_SITE = "Requests from other sites are refused."


def install(app: APIFlask) -> None:
    app.before_request(identify)


def keys_required() -> bool:
    return request_context.services().settings.keys == "on"


def identify() -> None:
    """Sets the request's owner and rate limit key. Raises Unauthorized, Forbidden or TooManyRequests."""
    g.admin = False
    g.rate_limit_key = f"address:{request.remote_addr}"
    if not request.path.startswith("/v1/"):
        return
    _refuse_other_sites()
    if not keys_required():
        if request_context.services().settings.keys is None:
            _refuse_other_machines()
        g.owner = request_context.LOCAL_OWNER
        g.admin = _is_admin(_bearer())
        return
    owner = _owner_from_key(_bearer()) or _owner_from_cookie()
    if owner is not None:
        g.owner = owner
        g.rate_limit_key = f"owner:{owner}"
    elif not g.admin and request.path not in PUBLIC_PATHS:
        _count_and_refuse(Unauthorized())
    elif g.admin and not request.path.startswith(ADMIN_PATHS):
        raise Forbidden("The admin key can only manage keys and networks; create a key for yourself and use that.")


def require_admin() -> None:
    if request_context.services().settings.admin_key is None:
        raise Forbidden("Keys can't be managed: the service was started without DREAM_ADMIN_KEY.")
    if not g.admin:
        raise Forbidden("Only the admin key can create, list and revoke keys.")


def is_operator() -> bool:
    """Returns whether the client may have weights fetched: with the admin key, or on a keyless machine of its own."""
    return bool(g.admin) or request_context.services().settings.keys is None


def require_operator() -> None:
    """Raises Forbidden."""
    if not is_operator():
        raise Forbidden("Only the admin key (DREAM_ADMIN_KEY) can have weights fetched.")


def log_in(key: str) -> tuple[str, str | None]:
    """Returns the owner and the session cookie's value; no cookie where no key is required. Raises Unauthorized."""
    if not keys_required():
        return request_context.LOCAL_OWNER, None
    record = _find_key(key)
    if record is None:
        _count_and_refuse(Unauthorized("This key is not valid.", path="key"))
    return record.owner, _signer().sign(record.id).decode()


def _bearer() -> str | None:
    header = request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _owner_from_key(key: str | None) -> str | None:
    if key is None:
        return None
    if _is_admin(key):
        g.admin = True
        g.rate_limit_key = f"owner:{ADMIN}"
        return None
    record = _find_key(key)
    if record is None:  # report a wrong key even if a valid cookie comes with it
        _count_and_refuse(Unauthorized("This key is not valid; it may have been revoked."))
    return record.owner


def _find_key(key: str) -> ApiKey | None:
    """Returns the key's record, or None.

    Raises TooManyRequests, before S3 is read, for an uncached key from an address that failed too often.
    """
    services = request_context.services()
    if not services.keyring.is_cached(key):
        services.unauthenticated.check(request.remote_addr or "")
    return services.keyring.find(key)


def _count_and_refuse(refusal: Unauthorized) -> NoReturn:
    request_context.services().unauthenticated.count_failure(request.remote_addr or "")
    raise refusal


def _owner_from_cookie() -> str | None:
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
    """Refuses cross-site writes: a loopback service has no cookie whose SameSite attribute would stop them.

    Browsers send `Sec-Fetch-Site`, and `Origin` with a write; a client that is not a browser sends neither.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site not in SAME_SITE:
        raise Forbidden(OTHER_SITE)
    # A browser that says same-origin knows the scheme better than we do behind a proxy that does not forward it.
    schemes = {request.scheme} if site is None else {"http", "https"}
    if origin is not None and origin.lower() not in {f"{scheme}://{request.host}".lower() for scheme in schemes}:
        raise Forbidden(OTHER_SITE)


def _refuse_other_machines() -> None:
    """Refuses other machines, and host names other than loopback's, which stops DNS rebinding."""
    name = _host_name(request.host)
    if not (is_loopback(request.remote_addr or "") and (name == "localhost" or is_loopback(name))):
        raise Forbidden(
            "Without keys the service answers only this machine. Start it with DREAM_KEYS=on to require keys, "
            "or with DREAM_KEYS=off to let everyone in."
        )


def _host_name(host: str) -> str:
    """Returns the name without its port; an empty one for a host that is missing or malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
