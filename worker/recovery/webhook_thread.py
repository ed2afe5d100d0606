"""Delivers webhooks on a separate thread of the caretaker, so that a slow receiver does not delay its other duties."""

import threading
from collections.abc import Callable

import structlog

from shared.api_keys import Keyring
from shared.clock import Clock, SystemClock
from shared.errors import DreamError
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from shared.webhooks.delivery import SECRET
from shared.webhooks.dispatcher import WebhookDispatcher
from shared.webhooks.outbound import Guard, Post

log = structlog.get_logger(__name__)

ROUND_S = 2.0  # between two deliveries of due messages
STUCK_S = 120.0  # without progress; every single step has a shorter time limit


class DispatcherThread:
    """Delivers due messages on a thread until `ended`, while this caretaker leads."""

    def __init__(
        self, dispatcher: WebhookDispatcher, clock: Clock, *, leads: Callable[[], bool], ended: threading.Event
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._leads = leads
        self._ended = ended
        self._progress_at = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="webhook_dispatcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_well(self) -> bool:
        """Returns False when the thread has ended or is stuck: then no webhook is delivered until a restart."""
        return self._thread.is_alive() and self._clock.monotonic() - self._progress_at < STUCK_S

    def note_progress(self) -> None:
        self._progress_at = self._clock.monotonic()

    def _run(self) -> None:
        while not self._ended.wait(ROUND_S):
            self.note_progress()
            if self._leads():
                self._round()

    def _round(self) -> None:
        try:
            self._dispatcher.deliver_due()
        except DreamError as exc:
            log.warning("webhook_delivery_postponed", reason=str(exc))
        except Exception:  # the next round may go better, and webhooks must not end with one fault
            log.exception("webhook_round_failed")


def start(settings: Settings, *, leads: Callable[[], bool], ended: threading.Event) -> DispatcherThread:
    """Starts the thread on the real S3."""
    storage, clock = S3ObjectStorage.connect(settings), SystemClock()
    dispatcher = WebhookDispatcher(
        storage=storage,
        clock=clock,
        send=Post(Guard(settings.webhook_networks)),
        master=lambda: Keyring(storage, clock).secret(SECRET),
        on_progress=lambda: thread.note_progress(),  # noqa: PLW0108 - it does not exist yet
    )
    thread = DispatcherThread(dispatcher, clock, leads=leads, ended=ended)
    thread.start()
    return thread
