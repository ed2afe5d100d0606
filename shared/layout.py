"""Where things lie in the bucket."""


def pending(job_id: str) -> str:
    """Exists from before the job is accepted until its outcome is written: what a rebuild lists."""
    return f"pending/{job_id}"


def tombstone(job_id: str) -> str:
    """Written first on delete; nothing of this job may come back."""
    return f"deleted/{job_id}"


def job(job_id: str) -> str:
    """Prefix of everything that belongs to the job, but for `pending` and the tombstone."""
    return f"jobs/{job_id}/"


def manifest(job_id: str) -> str:
    return f"jobs/{job_id}/manifest.json"


def image(job_id: str) -> str:
    return f"jobs/{job_id}/input"


def cancel(job_id: str) -> str:
    """Written before a cancel is answered."""
    return f"jobs/{job_id}/cancel"


def outcome(job_id: str, epoch: int) -> str:
    """The commit, first writer wins; a retry has its own."""
    return f"jobs/{job_id}/outcome.json" if epoch == 0 else f"jobs/{job_id}/outcome-{epoch}.json"


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
