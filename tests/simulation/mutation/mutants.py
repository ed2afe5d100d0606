"""Lists mutants: changes of the order of writes, or of a condition, each of which breaks a guarantee."""

from dataclasses import dataclass

ACCEPTANCE, LIFECYCLE = "shared/jobs/acceptance.py", "shared/jobs/lifecycle.py"
STORE = "tests/fakes/job_store.py"  # what the Lua scripts do, to which contract tests hold both
DISPATCHER = "shared/webhooks/dispatcher.py"
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
        ((f"if not self._storage.put(manifest, VOID, {CONDITIONAL}:", "if True:"),
         ('return self.records.fate(job_id) == "void"', "return self.records.manifest(job_id) is None")),
    ),
    Mutant(
        "a manifest replaces another",
        ACCEPTANCE,
        ((f"document, {CONDITIONAL}:", "document, content_type=JSON):"),),
    ),
    Mutant(
        "a failed acceptance is swept without giving it up (item 1)",
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
        "a job is created in Redis without looking for its tombstone again (item 10)",
        ACCEPTANCE,
        (("if not self.records.is_deleted(job.id):", "if True:"),),
    ),
    Mutant(
        "an idempotency key passes on while its first submission may still be accepted (item 1)",
        "api/jobs/idempotency.py",
        (("return self._lifecycle.give_up(reservation.job_id)", "return True"),),
    ),
    Mutant(
        "a claim is not acknowledged",
        LIFECYCLE,
        (("return job if job and self._acknowledge(job, lease_s) else None", "return job"),),
    ),
    Mutant(
        "a claim that never arrived counts as a death (item 2)",
        STORE,
        (("lost = known.claim in self.unacknowledged", "lost = False"),),
    ),
    Mutant(
        "superseded checkpoints are deleted first",
        LIFECYCLE,
        (("        self._storage.put(key, file)\n        self._store.checkpoint_stored(job)\n"
          "        self._storage.delete(superseded)\n",
          "        self._storage.delete(superseded)\n        self._storage.put(key, file)\n"
          "        self._store.checkpoint_stored(job)\n"),),
    ),
    Mutant(
        "Redis hears of a checkpoint before it is stored",
        LIFECYCLE,
        (("        self._storage.put(key, file)\n        self._store.checkpoint_stored(job)\n",
          "        self._store.checkpoint_stored(job)\n        self._storage.put(key, file)\n"),),
    ),
    Mutant(
        "a checkpoint's checksum is not compared",
        "worker/attempts/checkpoints.py",
        (("if file.read(DIGEST_BYTES) != digest:", "if len(file.read(DIGEST_BYTES)) != len(digest):"),),
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
        "a retry and an expiry may both win (item 10)",
        LIFECYCLE,
        ((f"if self._storage.put(place, document, {CONDITIONAL}:",
          "if self._storage.put(place, document, content_type=JSON):"),),
    ),
    Mutant(
        "a retry is marked as pending after Redis knows of it",
        LIFECYCLE,
        (("        if self.records.outcome(job.id, retry_count) is None:\n"
          "            self._mark(object_keys.pending(job.id, retry_count), retry_count)\n", ""),
         ("        with contextlib.suppress(StoreUnavailable):  # the caretaker sends the wake-up\n",
          "        self._mark(object_keys.pending(job.id, retry_count), retry_count)\n"
          "        with contextlib.suppress(StoreUnavailable):  # the caretaker sends the wake-up\n")),
    ),
    Mutant(
        "a retry that has ended is marked as pending again (item 7)",
        LIFECYCLE,
        (("if self.records.outcome(job.id, retry_count) is None:", "if True:"),),
    ),
    Mutant(
        "a retry is not checked for a delete (item 6)",
        LIFECYCLE,
        (("        if self.records.is_deleted(job.id):\n            self.delete(job.id)\n"
          "            raise JobNotFound\n        outcome =", "        outcome ="),),
    ),
    Mutant(
        "`pending` without a job is left (item 6)",
        "worker/recovery/reconciliation.py",
        (("            self._drop(job_id, pending)\n", ""),),
    ),
    Mutant(
        "a cancel stops whatever retry runs (item 10)",
        STORE,
        (("job.state is JobState.RUNNING and job.retry_count == retry_count:", "job.state is JobState.RUNNING:"),),
    ),
    Mutant(
        "a late creation brings a deleted job back (item 10)",
        STORE,
        (("if job.id in self.jobs or job.id in self.forgotten:", "if job.id in self.jobs:"),),
    ),
    Mutant(
        "a submission that was given up may be accepted later",
        "worker/recovery/housekeeping.py",
        (("VOID_KEPT_S = object_keys.DAY_S", "VOID_KEPT_S = 0.0"),),
    ),
    Mutant(
        "a message does not wait for the one before it",
        DISPATCHER,
        (("                    yield _JobQueue(delivery, queued[index + 1 :])\n                break\n",
          "                    yield _JobQueue(delivery, queued[index + 1 :])\n                    break\n"),),
    ),
    Mutant(
        "a late start is delivered after the end",
        DISPATCHER,
        (("if message is None or message.is_completed or queue.has_completed:", "if True:"),),
    ),
    Mutant(
        "a webhook is given up an attempt too early",
        DISPATCHER,
        (("(STARTED_ATTEMPTS - 1 if queue.has_completed else len(WAITS_S))", "(STARTED_ATTEMPTS - 2)"),),
    ),
    Mutant(
        "a delete writes its tombstone last",
        LIFECYCLE,
        (('        self._storage.put(object_keys.tombstone(job_id), b"")\n', ""),
         ("        self._store.forget(job_id)\n",
          '        self._store.forget(job_id)\n        self._storage.put(object_keys.tombstone(job_id), b"")\n')),
    ),
    Mutant(
        "a webhook is queued whether its job is pending or not (item 7)",
        "shared/webhooks/delivery.py",
        (("if storage.size(object_keys.pending(message.job_id, message.retry_count)) is None:", "if False:"),),
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
