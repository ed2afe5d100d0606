"""Implements idempotency keys: of all requests with an owner's key, one creates a job; the others return that job.

A key's first request reserves it with a conditional write that names its job. Requests never share a submission: if the
first request dies or is too slow, another one gives its submission up, which is final (see
`shared/jobs/acceptance.py`), and reserves the next key in the chain for its own job.
"""

import hashlib
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import IdempotencyKeyInFlight, IdempotencyKeyReused, WrongState
from shared.interfaces import ObjectStorage
from shared.jobs.job import Document, Manifest
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys

IN_FLIGHT_S = 60.0  # a submission not accepted by then is given up in favor of the next one with its key

KEY_OF_DELETED = "The job that this Idempotency-Key created was deleted; use a new key for a new job."


class Reservation(Document):
    """Links a key to a job, at `idempotency/{owner}/{key hash}`, or `….{job id}` after a submission was given up."""

    job_id: str
    fingerprint: str
    at: float  # Unix time, seconds


@dataclass(frozen=True, kw_only=True)
class KeyedRequest:
    """Describes a request with an Idempotency-Key."""

    owner: str
    key: str
    fingerprint: str  # the same for the same request

    def object_key(self, after: str | None) -> str:
        return object_keys.idempotency(self.owner, hashlib.sha256(self.key.encode()).hexdigest(), after=after)


class IdempotencyKeys:
    """Finds and reserves the jobs of idempotency keys."""

    def __init__(self, storage: ObjectStorage, lifecycle: JobLifecycle, clock: Clock) -> None:
        self._storage = storage
        self._lifecycle = lifecycle
        self._clock = clock

    def winner(self, request: KeyedRequest) -> str | None:
        """Returns the id of the job that the key has created; None when it has created none yet.

        Raises IdempotencyKeyReused, IdempotencyKeyInFlight, or WrongState when the job was deleted.
        """
        return self._follow(request)[1]

    def reserve(self, request: KeyedRequest, job_id: str) -> str | None:
        """Reserves the key for the job. Returns None on success, or the id of the job that has the key.

        Raises the same errors as `winner`.
        """
        while True:
            object_key, winner = self._follow(request, job_id)
            if winner is not None:
                return None if winner == job_id else winner
            reservation = Reservation(job_id=job_id, fingerprint=request.fingerprint, at=self._clock.now())
            document = reservation.model_dump_json().encode()
            if self._storage.put(object_key, document, content_type="application/json", if_absent=True):
                return None

    def _follow(self, request: KeyedRequest, ours: str | None = None) -> tuple[str, str | None]:
        """Returns the key in S3 where the chain of reservations ends, and the id of the job reserved there, if any.

        ours: a job whose reservation counts even while it is in flight.
        """
        after: str | None = None
        while True:
            object_key = request.object_key(after)
            document = self._storage.get(object_key)
            if document is None:
                return object_key, None
            reservation = Reservation.model_validate_json(document)
            if reservation.fingerprint != request.fingerprint:
                raise IdempotencyKeyReused
            if reservation.job_id == ours or not self._is_given_up(reservation):
                return object_key, reservation.job_id
            after = reservation.job_id

    def _is_given_up(self, reservation: Reservation) -> bool:
        """Returns True if the reserved submission is given up; gives it up if it was not accepted in time."""
        records = self._lifecycle.records
        fate = records.fate(reservation.job_id)
        if isinstance(fate, Manifest):
            return False
        if fate is None and records.is_deleted(reservation.job_id):
            raise WrongState(KEY_OF_DELETED)
        if fate is None and self._clock.now() - reservation.at < IN_FLIGHT_S:
            raise IdempotencyKeyInFlight
        return self._lifecycle.give_up(reservation.job_id)
