"""What a route finds around it."""

from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, cast

from flask import current_app, g

from api.intake import Intake
from api.service import JobService
from api.strangers import Strangers
from shared.clock import Clock, SystemClock
from shared.follow import Changes, Feed
from shared.keys import Keyring
from shared.limits import Allowance

if TYPE_CHECKING:
    from shared.settings import Settings

LOCAL_OWNER = "local"  # whose jobs they are when nobody has to log in
EXTENSION = "dreamqueue"


@dataclass(frozen=True, kw_only=True)
class Services:
    """All that the routes call."""

    settings: "Settings"
    jobs: JobService
    intake: Intake
    feed: Feed
    changes: Changes
    keyring: Keyring
    strangers: Strangers
    clock: Clock = field(default_factory=SystemClock)
    limits_uri: str = "memory://"  # where Flask-Limiter counts

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots", BoundedSemaphore(max(1, self.settings.max_streams)))

    slots: BoundedSemaphore = field(init=False, repr=False)  # for answers that hold a thread for long


def services() -> Services:
    return cast(Services, current_app.extensions[EXTENSION])


def jobs() -> JobService:
    return services().jobs


def owner() -> str:
    """Whose jobs this request is about."""
    return cast(str, g.owner)


def poll_allowance() -> Allowance:
    return Allowance(name="polls", who=cast(str, g.counted), requests=services().settings.polls_per_minute, window_s=60)
