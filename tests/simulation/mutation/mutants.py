"""Lists mutants: changes of the order of writes, or of a condition, each of which breaks a guarantee."""

from dataclasses import dataclass

ACCEPTANCE, LIFECYCLE = "shared/jobs/acceptance.py", "shared/jobs/lifecycle.py"
CONDITIONAL = "content_type=JSON, if_absent=True)"


@dataclass(frozen=True)
class Mutant:
    """Describes one change. edits: pairs of a text, which occurs once in the file, and its replacement."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]


MUTANTS = (
    Mutant(
        "a submission is given up without a decision",
        ACCEPTANCE,
        ((f"if self._storage.put(object_keys.manifest(job_id), VOID, {CONDITIONAL}:", "if False:"),
         ('return self.records.fate(job_id) == "void"', "return self.records.manifest(job_id) is None")),
    ),
    Mutant(
        "a manifest replaces another",
        ACCEPTANCE,
        ((f"document, {CONDITIONAL}:", "document, content_type=JSON):"),),
    ),
    Mutant(
        "a failed acceptance is swept without giving it up",
        ACCEPTANCE,
        (("if not self.give_up(manifest.id):", "if False:"),),
    ),
    Mutant(
        "`pending` is written after the manifest",
        ACCEPTANCE,
        (("            self._mark(object_keys.pending(manifest.id), 0)\n", ""),
         ("        self._decide_to_accept(manifest)\n",
          "        self._decide_to_accept(manifest)\n        self._mark(object_keys.pending(manifest.id), 0)\n")),
    ),
    Mutant(
        "a job is created in Redis without looking for its tombstone again",
        ACCEPTANCE,
        (("if not self.records.is_deleted(job.id):", "if True:"),),
    ),
    Mutant(
        "an idempotency key passes on while its first submission may still be accepted",
        "api/jobs/idempotency.py",
        (("return self._lifecycle.give_up(reservation.job_id)", "return True"),),
    ),
    Mutant(
        "a claim is not acknowledged",
        LIFECYCLE,
        (("return job if job and self._acknowledge(job, lease_s) else None", "return job"),),
    ),
    Mutant(
        "superseded checkpoints are deleted first",
        LIFECYCLE,
        (("        self._storage.put(key, file)\n        self._store.checkpoint_stored(job)\n"
          "        self._storage.delete(superseded)\n",
          "        self._storage.delete([*superseded, key])\n        self._store.checkpoint_stored(job)\n"
          "        self._storage.put(key, file)\n"),),
    ),
    Mutant(
        "an outcome replaces another",
        LIFECYCLE,
        ((f"if not self._storage.put(place, document, {CONDITIONAL}:",
          "if not self._storage.put(place, document, content_type=JSON):"),),
    ),
    Mutant(
        "an outcome is written without looking for a cancel",
        LIFECYCLE,
        (("outcome.state is not JobState.CANCELED and self.records.is_cancel_asked(job_id, outcome.retry_count)",
          "False"),),
    ),
    Mutant(
        "a settled job is not checked for a delete",
        LIFECYCLE,
        (("        if self.records.is_deleted(job_id):\n            self.delete(job_id)\n        return outcome",
          "        return outcome"),),
    ),
    Mutant(
        "`pending` is removed before the webhook is queued",
        LIFECYCLE,
        (("        delivery.queue_completed(self._storage, job_id, outcome)\n"
          "        self._store.finish(job_id, outcome)\n"
          "        self._storage.delete([object_keys.pending(job_id, outcome.retry_count)])\n",
          "        self._storage.delete([object_keys.pending(job_id, outcome.retry_count)])\n"
          "        delivery.queue_completed(self._storage, job_id, outcome)\n"
          "        self._store.finish(job_id, outcome)\n"),),
    ),
    Mutant(
        "Redis hears of an end after `pending` is removed",
        LIFECYCLE,
        (("        self._store.finish(job_id, outcome)\n"
          "        self._storage.delete([object_keys.pending(job_id, outcome.retry_count)])\n",
          "        self._storage.delete([object_keys.pending(job_id, outcome.retry_count)])\n"
          "        self._store.finish(job_id, outcome)\n"),),
    ),
    Mutant(
        "Redis is asked to cancel before the mark is written",
        LIFECYCLE,
        (("        self._mark(object_keys.cancel(job.id, job.retry_count), job.retry_count)\n", ""),
         ("        if known.state is JobState.QUEUED and known.retry_count == job.retry_count:\n",
          "        self._mark(object_keys.cancel(job.id, job.retry_count), job.retry_count)\n"
          "        if known.state is JobState.QUEUED and known.retry_count == job.retry_count:\n")),
    ),
    Mutant(
        "a retry and an expiry may both win",
        LIFECYCLE,
        ((f"if self._storage.put(place, document, {CONDITIONAL}:",
          "if self._storage.put(place, document, content_type=JSON):"),),
    ),
    Mutant(
        "a retry is marked as pending after Redis knows of it",
        LIFECYCLE,
        (("        self._mark(object_keys.pending(job.id, retry_count), retry_count)\n        if self._decide",
          "        if self._decide"),
         ("        with contextlib.suppress(StoreUnavailable):  # the caretaker sends the wake-up\n",
          "        self._mark(object_keys.pending(job.id, retry_count), retry_count)\n"
          "        with contextlib.suppress(StoreUnavailable):  # the caretaker sends the wake-up\n")),
    ),
    Mutant(
        "a delete writes its tombstone last",
        LIFECYCLE,
        (('        self._storage.put(object_keys.tombstone(job_id), b"")\n', ""),
         ("        self._store.forget(job_id)\n",
          '        self._store.forget(job_id)\n        self._storage.put(object_keys.tombstone(job_id), b"")\n')),
    ),
    Mutant(
        "a webhook is queued whether its job is pending or not",
        "shared/webhooks/delivery.py",
        (("if storage.size(object_keys.pending(job_id, retry_count)) is None:", "if False:"),),
    ),
    Mutant(
        "housekeeping sweeps what an old list names",
        "worker/recovery/housekeeping.py",
        (("settled = self._lifecycle.records.recall(job_id)", "settled = self._store.get(job_id)"),),
    ),
    Mutant(
        "a rebuild ends although jobs were skipped",
        "worker/recovery/caretaker.py",
        (("return skipped == 0", "return True"),),
    ),
)  # fmt: skip
