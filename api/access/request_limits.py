"""Rate limits per owner or address. Polls are counted in their own Redis call, the rest by Flask-Limiter on Redis."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from apiflask import APIFlask
from flask import Response, g, request
from redis import RedisError

from api import request_context
from api.http import problem_responses
from shared.errors import StoreUnavailable, TooManyRequests
from shared.rate_limit import RateLimit, RateLimitUsage
from shared.redis.scripts import refusal_of

if TYPE_CHECKING:
    from flask_limiter import Limiter, RequestLimit

POLL_ENDPOINT = "jobs.get"
SUBMISSION_ENDPOINTS = ("jobs.submit", "jobs.retry", "uploads.create", "uploads.begin")
WINDOW_S = 60


def install(app: APIFlask, uri: str, options: dict[str, Any]) -> None:
    """Installs the limits. Call it after the routes are registered and after authentication is installed."""
    from flask_limiter import Limiter, RateLimitExceeded  # noqa: PLC0415 - brings asyncio, 0.1 s

    limiter = Limiter(
        _rate_limit_key,
        application_limits=[lambda: f"{request_context.services().settings.requests_per_minute} per minute"],
        storage_uri=uri,
        storage_options=options,
        strategy="fixed-window",
        in_memory_fallback_enabled=True,  # while Redis is unavailable, jobs are accepted and counted per process
        key_prefix="dream",
    )
    limiter.request_filter(_is_exempt)
    submissions = limiter.shared_limit(
        lambda: f"{request_context.services().settings.submissions_per_minute} per minute", scope="submissions"
    )
    for endpoint in SUBMISSION_ENDPOINTS:
        app.view_functions[endpoint] = submissions(app.view_functions[endpoint])  # type: ignore[assignment] # none is async
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, lambda _: _too_many_requests(limiter))
    # When Redis fails, one thread switches to counting in memory; those that are counting at that moment raise.
    app.register_error_handler(
        RedisError, lambda exc: problem_responses.from_dream_error(refusal_of(exc) or StoreUnavailable())
    )
    app.after_request(_header_writer(limiter))


def _rate_limit_key() -> str:
    return cast(str, g.rate_limit_key)


def _is_exempt() -> bool:
    """Exempts pages and probes, and polls, which are counted in their own Redis call."""
    return not request.path.startswith("/v1/") or request.endpoint == POLL_ENDPOINT


def _too_many_requests(limiter: "Limiter") -> Response:
    limit = limiter.current_limit
    usage = _usage(limit) if limit else None
    usage = usage or RateLimitUsage(rate_limit=request_context.poll_rate_limit(), remaining=0, resets_s=1)
    return problem_responses.from_dream_error(TooManyRequests(usage=usage))


def _usage(limit: "RequestLimit") -> RateLimitUsage | None:
    """Returns None when Redis failed after the limit was checked: the request is done and gets its response."""
    submissions = "submissions" in limit.key
    rate_limit = RateLimit(
        name="submissions" if submissions else "requests",
        client=_rate_limit_key(),
        requests=limit.limit.amount,
        window_s=WINDOW_S,
    )
    try:
        left_s = max(0.0, limit.reset_at - request_context.services().clock.now())
        return RateLimitUsage(rate_limit=rate_limit, remaining=max(0, limit.remaining), resets_s=min(left_s, WINDOW_S))
    except RedisError:
        return None


def _header_writer(limiter: "Limiter") -> Callable[[Response], Response]:
    def write_headers(response: Response) -> Response:
        usage: RateLimitUsage | None = g.get("usage")
        if usage is None and (limit := limiter.current_limit) is not None:
            usage = _usage(limit)
        if usage is not None:
            _set_headers(response, usage)
        return response

    return write_headers


def _set_headers(response: Response, usage: RateLimitUsage) -> None:
    """Sets the fields of draft-ietf-httpapi-ratelimit-headers-10."""
    name = usage.rate_limit.name
    response.headers["RateLimit-Policy"] = f'"{name}";q={usage.rate_limit.requests};w={usage.rate_limit.window_s}'
    response.headers["RateLimit"] = f'"{name}";r={usage.remaining};t={math.ceil(usage.resets_s)}'
