"""What a route finds around it."""

from typing import cast

from flask import current_app

from api.service import JobService

LOCAL_OWNER = "local"  # whose jobs they are when nobody has to log in
EXTENSION = "dreamqueue"


def jobs() -> JobService:
    return cast(JobService, current_app.extensions[EXTENSION])


def owner() -> str:
    return LOCAL_OWNER
