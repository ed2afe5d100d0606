"""Where things lie in the bucket."""

PENDING, DELETED, JOBS, UPLOADS, IDEMPOTENCY = "pending/", "deleted/", "jobs/", "uploads/", "idempotency/"
DAY_S = 86_400.0
UPLOADS_KEPT_S = DAY_S  # a job that takes one has a copy of its own
IDEMPOTENCY_KEPT_S = 7 * DAY_S  # docs/API.md promises it


def pending(job_id: str, retry_count: int = 0) -> str:
    """Exists from before the job is accepted until its outcome is written: what a rebuild lists.

    Each retry has its own, or whoever closes the first late would take the second's away.
    """
    return f"{PENDING}{job_id}" if retry_count == 0 else f"{PENDING}{job_id}-{retry_count}"


def owed(key: str) -> tuple[str, int]:
    """The job id and the retry_count of a `pending` key."""
    job_id, _, retry_count = key.removeprefix(PENDING).partition("-")
    return job_id, int(retry_count or 0)


def tombstone(job_id: str) -> str:
    """Written first on delete; nothing of this job may come back."""
    return f"{DELETED}{job_id}"


def job(job_id: str) -> str:
    """Prefix of everything that belongs to the job, but for `pending` and the tombstone."""
    return f"{JOBS}{job_id}/"


def manifest(job_id: str) -> str:
    """The request. Written if absent, which accepts the job; or void, which gives the submission up for good."""
    return f"jobs/{job_id}/manifest.json"


def image(job_id: str) -> str:
    return f"jobs/{job_id}/input"


def guide(job_id: str) -> str:
    return f"jobs/{job_id}/guide"


def mask(job_id: str) -> str:
    return f"jobs/{job_id}/mask"


def gradients(job_id: str) -> str:
    return f"jobs/{job_id}/gradients/"


def gradient(job_id: str, octave: int) -> str:
    """A picture of the octave's last gradient: the same from every attempt, so it belongs to none."""
    return f"{gradients(job_id)}{octave:02d}.png"


def gradient_octave(key: str) -> int:
    return int(key.rsplit("/", 1)[-1].removesuffix(".png"))


def result(format: str) -> str:  # noqa: A002 - that is what it is called everywhere
    """The output's name, by the format that was asked for."""
    return {"jpeg": "result.jpg", "webp": "result.webp"}.get(format, "result.png")


def cancel(job_id: str, retry_count: int = 0) -> str:
    """Written before a cancel is answered. Each retry has its own, or a late one would replace a newer one."""
    return f"jobs/{job_id}/cancel" if retry_count == 0 else f"jobs/{job_id}/cancel-{retry_count}"


def outcome(job_id: str, retry_count: int) -> str:
    """The commit, first writer wins; a retry has its own."""
    return f"jobs/{job_id}/outcome.json" if retry_count == 0 else f"jobs/{job_id}/outcome-{retry_count}.json"


def outcome_retry_count(key: str) -> int | None:
    """The retry_count whose outcome that key is; None when it is something else."""
    name = key.rsplit("/", 1)[-1]
    if not name.startswith("outcome"):
        return None
    return int(name.removeprefix("outcome").removesuffix(".json").removeprefix("-") or 0)


def sequel(job_id: str, retry_count: int) -> str:
    """What follows that retry's outcome: another retry or expiry. The first writer decides, so never both."""
    return f"jobs/{job_id}/sequel-{retry_count}"


def checkpoints(job_id: str) -> str:
    return f"jobs/{job_id}/checkpoints/"


def checkpoint(job_id: str, octave: int, iteration: int, claim: str) -> str:
    """Sorts by how far it got; the name is the pointer."""
    return f"{checkpoints(job_id)}{octave:02d}-{iteration:04d}-{claim}"


def attempts(job_id: str) -> str:
    return f"jobs/{job_id}/attempts/"


def output(job_id: str, claim: str, name: str) -> str:
    """`result.png`, `report.json`, `preview.jpg` of one attempt."""
    return f"{attempts(job_id)}{claim}/{name}"


def upload(owner: str, upload_id: str) -> str:
    """What an owner has sent straight to S3, until it is swept."""
    return f"{UPLOADS}{owner}/{upload_id}"


def idempotency(owner: str, key_hash: str, *, after: str | None = None) -> str:
    """Which job an owner's Idempotency-Key makes.

    after: the job that held the key before and was given up. So no place is ever written a second time.
    """
    return f"{IDEMPOTENCY}{owner}/{key_hash}" + (f".{after}" if after else "")


def key(key_id: str) -> str:
    """An API key's record; of the key itself only the hash."""
    return f"keys/{key_id}.json"


def secret(name: str) -> str:
    """A secret that all processes share: what signs sessions, what webhooks' secrets are derived from."""
    return f"keys/secrets/{name}"


def webhook(delivery_id: str) -> str:
    """A message that is owed to a receiver."""
    return f"webhooks/{delivery_id}"
