"""Decides whether this worker's host is fit to claim jobs.

A host that can't reach S3, receive from Redis or write to its disk is unfit: it would claim one job after another and
either hold it without working on it, or fail it.
"""

import secrets
import tempfile

import structlog

from shared.clock import Clock
from shared.errors import DreamError, LocalDiskError
from shared.interfaces import JobStore, ObjectStorage

log = structlog.get_logger(__name__)

UNANSWERED_CLAIMS = 2  # in a row, after which the host is suspected
PROBE_EVERY_S = 5.0
DISK_BYTES = 8 << 20


class Host:
    """Tracks whether the host is suspected to be unfit. A suspected host is fit again once a probe has succeeded.

    The probe covers Redis, S3 and the disk.
    """

    def __init__(self, *, store: JobStore, storage: ObjectStorage, clock: Clock) -> None:
        self._store = store
        self._storage = storage
        self._clock = clock
        self._suspected = False
        self._unanswered_claims = 0
        self._probe_at = clock.monotonic()

    def suspect(self, reason: str) -> None:
        """Stops this host from claiming jobs until a probe has succeeded."""
        log.warning("host_suspected", reason=reason)
        self._suspected = True

    def claim_unanswered(self, reason: str) -> None:
        """Records that the reply to a claim did not arrive: the claim may hold a job that no worker runs."""
        self._unanswered_claims += 1
        if self._unanswered_claims >= UNANSWERED_CLAIMS:
            self.suspect(reason)

    def claim_answered(self) -> None:
        self._unanswered_claims = 0

    def is_fit(self) -> bool:
        """Returns whether this host may claim; probes a suspected host, at most once every PROBE_EVERY_S seconds."""
        if not self._suspected:
            return True
        if self._clock.monotonic() < self._probe_at:
            return False
        try:
            self._probe()
        except DreamError as exc:
            log.warning("host_unfit", reason=str(exc))
            self._probe_at = self._clock.monotonic() + PROBE_EVERY_S
            return False
        log.info("host_fit")
        self._suspected, self._unanswered_claims = False, 0
        return True

    def _probe(self) -> None:
        self._store.probe()
        key = f"checks/{secrets.token_hex(8)}"
        self._storage.put(key, b"probe")
        self._storage.delete([key])
        try:
            with tempfile.TemporaryFile() as file:
                file.write(bytes(DISK_BYTES))
                file.flush()
        except OSError as exc:
            raise LocalDiskError from exc
