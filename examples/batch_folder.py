"""Dreams on every photograph of a folder. Interrupt and repeat it at will: finished results are skipped.

Run: python -m examples.batch_folder http://127.0.0.1:PORT photos/ dreams/
"""

import os
import sys
from pathlib import Path

from api.client import DreamClient, Refused

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
PARAMS = {"octaves": 4, "iterations": 10}


def main(url: str, photographs: Path, results: Path) -> None:
    results.mkdir(parents=True, exist_ok=True)
    with DreamClient(url, key=os.environ.get("DREAM_KEY")) as client:
        jobs = {}
        for photograph in sorted(photographs.iterdir()):
            result = results / f"{photograph.stem}.png"
            if photograph.suffix.lower() not in SUFFIXES or result.exists():
                continue
            try:
                jobs[result] = client.submit(photograph, PARAMS, priority="low").id
            except Refused as exc:  # one damaged photograph must not stop the others
                print(f"{photograph}: {exc}", file=sys.stderr)
        # All jobs are queued now, so every worker of the fleet is busy while we wait for the first.
        for result, job_id in jobs.items():
            job = client.wait(job_id)
            if job.error:
                print(f"{result}: {job.error.message}", file=sys.stderr)
            else:
                client.download(job_id, result)
                print(result)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
