"""Builds and parses the keys of objects in the bucket."""

PENDING, DELETED, JOBS, UPLOADS, IDEMPOTENCY = "pending/", "deleted/", "jobs/", "uploads/", "idempotency/"
DAY_S = 86_400.0
UPLOADS_KEPT_S = DAY_S  # a job that uses an upload has its own copy
IDEMPOTENCY_KEPT_S = 7 * DAY_S  # as docs/API.md promises


def pending(job_id: str, retry_count: int = 0) -> str:
    """Returns the key of the pending marker, which exists from before the job is accepted until it is closed.

    A rebuild lists these markers. Each retry has its own: otherwise a process that closes the first one late would
    remove the second one's marker.
    """
    return f"{PENDING}{job_id}" if retry_count == 0 else f"{PENDING}{job_id}-{retry_count}"


def parse_pending(key: str) -> tuple[str, int]:
    """Returns the job id and the `retry_count` of a `pending` key."""
    job_id, _, retry_count = key.removeprefix(PENDING).partition("-")
    return job_id, int(retry_count or 0)


def tombstone(job_id: str) -> str:
    """Returns the key of the tombstone, which a delete writes first; nothing of the job may be written again."""
    return f"{DELETED}{job_id}"


def job(job_id: str) -> str:
    """Returns the prefix of all the job's objects except `pending` and the tombstone."""
    return f"{JOBS}{job_id}/"


def manifest(job_id: str) -> str:
    """Returns the key of the request. Writing it, if absent, accepts the job.

    A void document in its place gives the submission up permanently.
    """
    return f"jobs/{job_id}/manifest.json"


def image(job_id: str) -> str:
    return f"jobs/{job_id}/input"


def guide(job_id: str) -> str:
    return f"jobs/{job_id}/guide"


def mask(job_id: str) -> str:
    return f"jobs/{job_id}/mask"


PICTURES = {"image": image, "guide": guide, "mask": mask}  # the pictures that a job is submitted with, by their names


def gradients(job_id: str) -> str:
    return f"jobs/{job_id}/gradients/"


def gradient(job_id: str, octave: int) -> str:
    """Returns the key of an image of the octave's last gradient; every attempt makes the same, so they share it."""
    return f"{gradients(job_id)}{octave:02d}.png"


def gradient_octave(key: str) -> int:
    return int(key.rsplit("/", 1)[-1].removesuffix(".png"))


def result(format: str) -> str:  # noqa: A002 - the parameter's name in the API
    """Returns the output's name for the requested format."""
    return {"jpeg": "result.jpg", "webp": "result.webp"}.get(format, "result.png")


def name(job_id: str) -> str:
    """Returns the key of the document that a rename writes."""
    return f"jobs/{job_id}/name.json"


def cancel(job_id: str, retry_count: int = 0) -> str:
    """Returns the key of the cancel mark, which is written before the response to a cancel.

    Each retry has its own: otherwise a late mark would replace a newer one.
    """
    return f"jobs/{job_id}/cancel" if retry_count == 0 else f"jobs/{job_id}/cancel-{retry_count}"


def outcome(job_id: str, retry_count: int) -> str:
    """Returns the key of the outcome, whose first writer commits the job's end; each retry has its own."""
    return f"jobs/{job_id}/outcome.json" if retry_count == 0 else f"jobs/{job_id}/outcome-{retry_count}.json"


def outcome_retry_count(key: str) -> int | None:
    """Returns the `retry_count` of an outcome's key; None for any other key."""
    name = key.rsplit("/", 1)[-1]
    if not name.startswith("outcome"):
        return None
    return int(name.removeprefix("outcome").removesuffix(".json").removeprefix("-") or 0)


def sequel(job_id: str, retry_count: int) -> str:
    """Returns the key of the step after that retry's outcome: another retry or expiry.

    The first writer decides, so both can never happen.
    """
    return f"jobs/{job_id}/sequel-{retry_count}"


def checkpoints(job_id: str) -> str:
    return f"jobs/{job_id}/checkpoints/"


def checkpoint(job_id: str, octave: int, iteration: int, claim: str) -> str:
    """Returns a checkpoint's key. Keys sort by progress, so the last one is the latest: no separate pointer exists."""
    return f"{checkpoints(job_id)}{octave:02d}-{iteration:04d}-{claim}"


def attempts(job_id: str) -> str:
    return f"jobs/{job_id}/attempts/"


def output(job_id: str, claim: str, name: str) -> str:
    """Returns the key of one attempt's `result.png`, `report.json`, `preview.jpg` or `photograph.jpg`."""
    return f"{attempts(job_id)}{claim}/{name}"


def upload(owner: str, upload_id: str) -> str:
    """Returns the key of an object that an owner uploaded directly to S3; housekeeping removes it later."""
    return f"{UPLOADS}{owner}/{upload_id}"


def open_uploads(owner: str) -> str:
    """Returns the prefix of the owner's uploads by parts that are not complete."""
    return f"{UPLOADS}{owner}/parts/"


def open_upload(owner: str, upload_id: str) -> str:
    """Returns the key of the document that describes an upload by parts until it is complete."""
    return f"{open_uploads(owner)}{upload_id}"


def idempotency(owner: str, key_hash: str, *, after: str | None = None) -> str:
    """Returns the key of the reservation that links an owner's Idempotency-Key to a job.

    after: the job that held the reservation before and was given up, so that no key is ever written a second time.
    """
    return f"{IDEMPOTENCY}{owner}/{key_hash}" + (f".{after}" if after else "")


def key(key_id: str) -> str:
    """Returns the key of an API key's record, which contains only a hash of the API key."""
    return f"keys/{key_id}.json"


def secret(name: str) -> str:
    """Returns the key of a secret that all processes share: for signing sessions, for deriving webhook secrets."""
    return f"keys/secrets/{name}"


def webhook(delivery_id: str) -> str:
    """Returns the key of a webhook that has not been delivered yet."""
    return f"webhooks/{delivery_id}"
