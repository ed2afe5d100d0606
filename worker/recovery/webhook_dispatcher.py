"""Delivers webhooks on a separate thread of the caretaker, so that a slow receiver does not delay its other duties."""

import threading
from collections.abc import Callable

import structlog

from shared.api_keys import Keyring
from shared.clock import SystemClock
from shared.errors import DreamError
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from shared.webhooks.delivery import SECRET, WebhookDispatcher
from shared.webhooks.outbound import Guard, Post

log = structlog.get_logger(__name__)

ROUND_S = 2.0  # between two deliveries of due messages


def start(settings: Settings, *, leads: Callable[[], bool], ended: threading.Event) -> threading.Thread:
    """Starts the thread, which delivers due messages until `ended`, while this caretaker leads."""
    storage, clock = S3ObjectStorage.connect(settings), SystemClock()
    dispatcher = WebhookDispatcher(
        storage=storage,
        clock=clock,
        send=Post(Guard(settings.webhook_networks)),
        master=lambda: Keyring(storage, clock).secret(SECRET),
    )

    def run() -> None:
        while not ended.wait(ROUND_S):
            if leads():
                try:
                    dispatcher.deliver_due()
                except DreamError as exc:
                    log.warning("webhook_delivery_postponed", reason=str(exc))

    thread = threading.Thread(target=run, name="webhook_dispatcher", daemon=True)
    thread.start()
    return thread
