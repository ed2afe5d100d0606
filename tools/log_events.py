"""Writes docs/LOG_EVENTS.md, the table of all log events, from the code. Run: python -m tools.log_events (`make docs`)

Reads every call `log.<level>("event", field=...)` of a structlog logger in the product's packages. Add the meaning of a
new event to MEANINGS below.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import ROOT

PAGE = ROOT / "docs" / "LOG_EVENTS.md"
PACKAGES = ("api", "shared", "worker", "deploy")
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}  # `exception` logs at error, with a traceback
NOT_FIELDS = {"exc_info"}
HEADER = """\
# Log events

Every event that Dreamqueue logs, generated from the code (`make docs`). Records are lines of JSON on stderr, or
readable text on a terminal; `event` holds the name. Records of an attempt also carry `job_id`, `attempt` and `owner`.

| event | level | module | fields | meaning |
|---|---|---|---|---|
"""
MEANINGS = {
    "attempt_abandoned": "The attempt lost its claim; another worker may be running the job.",
    "attempt_stalled": "Nothing moved within the phase's stall limit; the worker's child kills itself.",
    "caretaker_started": "This caretaker runs its duties whenever it leads.",
    "checkpoint_corrupt": "A checkpoint's checksum is wrong; an older one is used.",
    "checkpoint_delayed": "A checkpoint could not be stored yet; it is retried.",
    "checkpoint_failed": "A checkpoint could not be stored; the dream goes on without it.",
    "checkpoint_saved": "A checkpoint is in S3.",
    "claim_unconfirmed": "Redis could not confirm the claim before the commit; the first outcome in S3 decides.",
    "cleanup_failed": "Objects of losing attempts could not be removed; the caretaker removes them.",
    "dependency_unavailable": "Redis or S3 does not answer; the process waits and retries. `cause`: what was said.",
    "document_unreadable": "An object in S3 can't be read by this version; the job is skipped.",
    "drain_timed_out": "A drained worker could not release its job in time; its last stored checkpoint serves.",
    "dream_started": "The photograph is decoded and the first octave begins.",
    "first_iteration_completed": "The first iteration of the attempt is done.",
    "helpers_unreadable": "The list of workers could not be read; the dream continues alone and looks again.",
    "host_fit": "A suspected host has reached Redis and S3 again; its worker claims jobs.",
    "host_suspected": "This host may be at fault; its worker claims no jobs until Redis and S3 answer.",
    "host_unfit": "A suspected host still fails to reach Redis or S3; it is tried again.",
    "job_claimed": "A worker has claimed the job.",
    "job_expired": "Retention has removed the job's objects.",
    "job_failed": "The attempt failed; `code` says why.",
    "job_not_introduced": "The job is accepted, but Redis or the wake-up failed; the caretaker adds it.",
    "job_release_failed": "A drained job could not be released; its lease will expire.",
    "job_released": "A drained worker has returned its job to the queue.",
    "job_restored": "The job was missing from Redis and has been rebuilt from S3.",
    "job_settled": "The job has its outcome; `won` says whether it is this attempt's.",
    "job_skipped": "A job could not be restored from S3; it is tried again.",
    "lease_expired": "A worker stopped renewing its lease; `state` is the job's new state.",
    "leftovers_swept": "Objects that a crash left with an ended job have been removed.",
    "liveness_file_write_failed": "The liveness file could not be touched.",
    "local_disk_failed": "The disk for temporary files is full or broken; the request is refused.",
    "metrics_port_unavailable": "The metrics port is taken; the process runs without metrics.",
    "liveness_file_withheld": "A part of the process has failed for good; the liveness probe fails until a restart.",
    "model_fetch_failed": "Weights could not be fetched; the worker retries after a minute.",
    "model_fetched": "Weights have been fetched, checked and installed.",
    "model_load_failed": "The first network could not be loaded at start-up.",
    "model_loaded": "A network is in memory.",
    "model_unloaded": "A network was unloaded to make room for another.",
    "model_weights_missing": "This worker may serve the model, but its weights are not installed.",
    "old_objects_swept": "Uploads or idempotency keys past their time have been removed.",
    "outcome_adopted": "The job already had an outcome; the attempt adopted it.",
    "octave_times_not_kept": "DREAM_MODEL_DIR can't be written, so estimates start from nothing after a restart.",
    "preview_upload_failed": "A preview could not be stored; the next one is tried.",
    "reconciliation_completed": "The caretaker has compared S3 with Redis and restored jobs, or skipped some.",
    "reconciliation_started": "The caretaker compares S3 with Redis.",
    "recovery_postponed": "One of the caretaker's duties failed for one item; it is retried.",
    "redis_command_refused": "Redis refused a command: it is full, read-only, or the command is wrong.",
    "redis_unavailable": "The caretaker can't reach Redis.",
    "renewal_failed": "Redis did not renew the lease; the keeper retries.",
    "request_failed": "A request failed with an unexpected error; the response is a 500.",
    "source_failed": "Weights could not be fetched from one source; the next one is tried.",
    "startup_refused": "The process does not start; `reason` says why. Exit code 78 or 70.",
    "subscription_lost": "The subscription to events in Redis was interrupted; it is opened again.",
    "tile_memory_unavailable": "There was no memory for a tile's pixels, which go through Redis instead.",
    "tile_not_received": "A helper could not map its coordinator's memory, or got pixels of a wrong size.",
    "unaccepted_job_swept": "Objects of a submission that was never accepted have been removed.",
    "unfinished_upload_aborted": "An upload by parts that nobody finished in a day has been removed.",
    "wake_up_failed": "A wake-up could not claim a job; the caretaker sends another.",
    "tile_measurement_not_kept": "DREAM_MODEL_DIR can't be written, so the next start measures the tiles again.",
    "tiles_measured": "This machine's fastest tiles were measured; without `us_per_px` there was no time for it.",
    "webhook_abandoned": "A webhook was given up after its last attempt.",
    "webhook_attempt_failed": "A webhook was not accepted; it is retried.",
    "webhook_delivered": "A webhook was accepted.",
    "webhook_delivery_failed": "Delivering a webhook met an unexpected error; that message alone is retried later.",
    "webhook_delivery_postponed": "Webhooks could not be delivered because Redis or S3 is unavailable.",
    "webhook_round_failed": "Delivering webhooks met an unexpected error; the next round begins in two seconds.",
    "worker_registration_failed": "The worker could not register itself in Redis; it retries.",
    "sharing_paused": "Redis or a helper failed; the worker computes all tiles itself until its next look for helpers.",
    "tile_answer_unreadable": "A helper of another version answered; the coordinator computes the tile itself.",
    "tile_answer_failed": "Processing a helper's answer failed; the coordinator computes the tile itself.",
    "tile_not_sent": "A window could not be read or sent to a helper; the coordinator computes the tile itself.",
    "worker_unreadable": "A registered worker is of another version and can't be read; it is left out of lists.",
    "tile_failed": "This worker could not compute a tile of another worker's dream; the coordinator does.",
    "tile_refused": "This worker can't load the network of another worker's dream, or has other weights of it.",
    "tile_request_unreadable": "A request for a tile came from a worker of another version.",
    "tiles_computed_by_helpers": "A shared dream ended: how many of its tiles each helper computed.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LogCall:
    """One call of a logger in the code."""

    event: str
    level: str
    module: str  # a path below the repository's root
    line: int
    fields: tuple[str, ...]


def log_calls(root: Path = ROOT) -> list[LogCall]:
    """Returns every log call of the product's packages. Raises ValueError for an event that is not a literal."""
    calls: list[LogCall] = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            calls += _calls_in(ast.parse(path.read_text()), path.relative_to(root).as_posix())
    return calls


def _calls_in(tree: ast.Module, module: str) -> Iterator[LogCall]:
    loggers = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("structlog.get_logger(")
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
            continue
        logger = node.func.value
        if not (isinstance(logger, ast.Name) and logger.id in loggers):
            continue
        event = node.args[0] if len(node.args) == 1 else None
        if not (isinstance(event, ast.Constant) and isinstance(event.value, str)):
            raise ValueError(f"{module}:{node.lineno}: pass the event as one string literal")  # noqa: TRY004 - the code is wrong, not a type
        fields = tuple(keyword.arg for keyword in node.keywords if keyword.arg and keyword.arg not in NOT_FIELDS)
        yield LogCall(event=event.value, level=node.func.attr, module=module, line=node.lineno, fields=fields)


def page() -> str:
    """Returns the page's text: one row per event, in alphabetical order."""
    by_event: dict[str, list[LogCall]] = defaultdict(list)
    for call in log_calls():
        by_event[call.event].append(call)
    return HEADER + "".join(_row(event, by_event[event]) for event in sorted(by_event))


def _row(event: str, calls: list[LogCall]) -> str:
    levels = sorted({"error" if call.level == "exception" else call.level for call in calls})
    modules = sorted({f"`{call.module}`" for call in calls})
    fields = dict.fromkeys(f"`{field}`" for call in calls for field in call.fields)
    cells = (f"`{event}`", ", ".join(levels), ", ".join(modules), ", ".join(fields), MEANINGS.get(event, ""))
    return f"| {' | '.join(cells)} |\n"


def main(path: Path = PAGE) -> None:
    path.write_text(page())


if __name__ == "__main__":
    main()
