"""Delivers webhooks beside the caretaker, on a thread of its own: a slow receiver must not hold up the other duties."""

import threading
from collections.abc import Callable

import structlog

from shared.blobs import S3Blobs
from shared.clock import SystemClock
from shared.errors import DreamError
from shared.keys import Keyring
from shared.outbound import Guard, Post
from shared.settings import Settings
from shared.webhooks import SECRET, Postman

log = structlog.get_logger(__name__)

ROUND_S = 2.0  # between two looks into the outbox


def start(settings: Settings, *, leads: Callable[[], bool], ended: threading.Event) -> threading.Thread:
    """Goes round until `ended`, whenever this caretaker leads."""
    blobs, clock = S3Blobs.connect(settings), SystemClock()
    postman = Postman(
        blobs=blobs,
        clock=clock,
        send=Post(Guard(settings.webhook_networks)),
        master=lambda: Keyring(blobs, clock).secret(SECRET),
    )

    def walk() -> None:
        while not ended.wait(ROUND_S):
            if leads():
                try:
                    postman.go_round()
                except DreamError as exc:
                    log.warning("webhooks_wait", reason=str(exc))

    thread = threading.Thread(target=walk, name="postman", daemon=True)
    thread.start()
    return thread
