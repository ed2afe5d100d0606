"""Waiting for a job's end within one request (`Prefer: wait`)."""

import contextlib

from api import request_context
from api.wiring import Services
from shared.errors import DreamError
from shared.jobs.job import Job
from shared.jobs.job_events import Subscription


def until_terminal(job: Job, wait_s: float) -> Job:
    """Returns the job once it has ended or `wait_s` has passed; at once if too many requests wait already."""
    services = request_context.services()
    if job.state.is_terminal or not services.slots.acquire(job.owner):
        return job
    try:
        with services.subscriptions.subscribe(job.id) as subscription:
            return _wait(services, job, subscription, services.clock.monotonic() + wait_s)
    finally:
        services.slots.release(job.owner)


def _wait(services: Services, job: Job, subscription: Subscription, until: float) -> Job:
    while True:
        with contextlib.suppress(DreamError):  # return the last known state; the next request reports the error
            job = services.jobs.get(job.owner, job.id)
        left_s = until - services.clock.monotonic()
        if job.state.is_terminal or left_s <= 0 or services.subscriptions.closed:
            return job
        subscription.wait(left_s)
