"""Submits a photograph, prints its progress and downloads the result.

Run: python -m examples.python_client http://127.0.0.1:PORT photo.jpg dream.png
"""

import os
import sys
from pathlib import Path

from api.client import DreamClient
from api.schemas.job_view import JobView

PARAMS = {"layers": [{"layer": "block11_expand"}], "octaves": 4, "iterations": 10}


def print_progress(job: JobView) -> None:
    print(f"{job.state}: {job.progress.fraction:.0%}")


def main(url: str, photograph: Path, result: Path) -> None:
    # The client repeats requests that fail for a moment; its Idempotency-Key makes that one job.
    with DreamClient(url, key=os.environ.get("DREAM_KEY")) as client:
        job = client.submit(photograph, PARAMS)
        job = client.wait(job.id, print_progress)
        if job.error:
            sys.exit(f"The job {job.state}: {job.error.message}")
        client.download(job.id, result)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
