"""How often may somebody ask. Polls are counted inside their own Redis call; all else by Flask-Limiter on Redis."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from apiflask import APIFlask
from flask import Response, g, request
from redis import RedisError

from api import request_context
from api.http import problem_responses
from shared.errors import TooManyRequests
from shared.rate_limit import RateLimit, RateLimitUsage

if TYPE_CHECKING:
    from flask_limiter import Limiter, RequestLimit

POLLS = "jobs.get"
SUBMISSIONS = ("jobs.submit", "jobs.retry", "uploads.create")
WINDOW_S = 60


def install(app: APIFlask, *, uri: str, timeout_s: float) -> None:
    """To be called once all routes are known, and after those who ask have been identified."""
    from flask_limiter import Limiter, RateLimitExceeded  # noqa: PLC0415 - brings asyncio, 0.1 s

    options: dict[str, str | float] = {}
    if uri.startswith("redis"):
        options = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    limiter = Limiter(
        _who,
        application_limits=[lambda: f"{request_context.services().settings.requests_per_minute} per minute"],
        storage_uri=uri,
        storage_options=cast(dict[str, str | int], options),
        strategy="fixed-window",
        in_memory_fallback_enabled=True,  # jobs are accepted while Redis is away, and counted by each process
        key_prefix="dream",
    )
    limiter.request_filter(_is_not_counted)
    submissions = limiter.shared_limit(
        lambda: f"{request_context.services().settings.submissions_per_minute} per minute", scope="submissions"
    )
    for endpoint in SUBMISSIONS:
        app.view_functions[endpoint] = submissions(app.view_functions[endpoint])  # type: ignore[assignment] # none is async
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, lambda _: _refuse(limiter))
    app.after_request(_tell(limiter))


def _who() -> str:
    return cast(str, g.counted)


def _is_not_counted() -> bool:
    """Pages, probes and polls; the last are counted elsewhere."""
    return not request.path.startswith("/v1/") or request.endpoint == POLLS


def _refuse(limiter: "Limiter") -> Response:
    limit = limiter.current_limit
    usage = _usage(limit) if limit else None
    usage = usage or RateLimitUsage(rate_limit=request_context.poll_rate_limit(), remaining=0, resets_s=1)
    return problem_responses.from_dream_error(TooManyRequests(usage=usage))


def _usage(limit: "RequestLimit") -> RateLimitUsage | None:
    """None when Redis went away after the limit was checked: what was done by then is answered all the same."""
    submissions = "submissions" in limit.key
    rate_limit = RateLimit(
        name="submissions" if submissions else "requests", client=_who(), requests=limit.limit.amount, window_s=WINDOW_S
    )
    try:
        left_s = max(0.0, limit.reset_at - request_context.services().clock.now())
        return RateLimitUsage(rate_limit=rate_limit, remaining=max(0, limit.remaining), resets_s=min(left_s, WINDOW_S))
    except RedisError:
        return None


def _tell(limiter: "Limiter") -> Callable[[Response], Response]:
    def tell(response: Response) -> Response:
        usage: RateLimitUsage | None = g.get("usage")
        if usage is None and (limit := limiter.current_limit) is not None:
            usage = _usage(limit)
        if usage is not None:
            put(response, usage)
        return response

    return tell


def put(response: Response, usage: RateLimitUsage) -> None:
    """The fields of draft-ietf-httpapi-ratelimit-headers-10."""
    name = usage.rate_limit.name
    response.headers["RateLimit-Policy"] = f'"{name}";q={usage.rate_limit.requests};w={usage.rate_limit.window_s}'
    response.headers["RateLimit"] = f'"{name}";r={usage.remaining};t={math.ceil(usage.resets_s)}'
