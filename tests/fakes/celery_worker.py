"""A Celery worker with the product's settings and a task that only leaves a file. Run: celery -A ... worker"""

import os
from pathlib import Path

from shared.celery_app import TASK, make_app
from shared.settings import load

app = make_app(load())


@app.task(name=TASK, ignore_result=True)
def work() -> None:
    """Appends a line to the file that the test reads."""
    with Path(os.environ["RUNS"]).open("a") as runs:
        runs.write("run\n")
