"""Accessors for the application's services in the current request."""

from typing import cast

from flask import current_app, g

from api.jobs.job_service import JobService
from api.wiring import Services
from shared.rate_limit import RateLimit

LOCAL_OWNER = "local"  # owner of all jobs where callers need no key
EXTENSION = "dreamqueue"


def services() -> Services:
    return cast(Services, current_app.extensions[EXTENSION])


def jobs() -> JobService:
    return services().jobs


def owner() -> str:
    """Returns the owner whose jobs this request may see."""
    return cast(str, g.owner)


def poll_rate_limit() -> RateLimit:
    return RateLimit(
        name="polls", client=cast(str, g.rate_limit_key), requests=services().settings.polls_per_minute, window_s=60
    )
