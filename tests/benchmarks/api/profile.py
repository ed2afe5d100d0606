"""Where a poll's time goes: py-spy looks at one process while wrk asks. Run: python -m tests.benchmarks.api.profile"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.benchmarks.api.load import prepare
from tests.benchmarks.api.stage import Api, Load, ask, on_one_core

SECONDS, SAMPLES_PER_S = 30, 100
# The first that fits a frame, from the innermost outwards.
LAYERS = {
    "Redis's client": r"\(redis/",
    "Prometheus' counters": r"\(prometheus_client/",
    "the log record": r"\((logging|structlog)/",
    "Flask-Limiter": r"\((flask_limiter|limits)/",
    "pydantic": r"\(pydantic",
    "our routes, checks and headers": r"\((api|shared)/",
    "Flask and Werkzeug": r"\((flask|werkzeug|apiflask)/",
    "gunicorn: reading, writing, handing over": r"\((gunicorn|deploy|concurrent|selectors|threading)[/.]",
}


def main() -> int:
    for program in ("wrk", "py-spy"):
        if not shutil.which(program):
            sys.stderr.write(f"{program} is not here: `apt-get install wrk`, `pip install py-spy`\n")
            return 1
    with on_one_core() as (api,):
        target = prepare(api)
        for name, headers in (("200", ()), ("304", target.unchanged)):
            load = Load(headers=headers)
            ask(api, target.job, load, seconds=3)
            stacks = watched(api, target.job, load)
            found = Counter(layer for stack, count in stacks.items() for layer in [layer_of(stack)] * count)
            sys.stdout.write(f"poll, {name}: {found.total()} samples\n")
            for layer, count in found.most_common():
                sys.stdout.write(f"  {count / found.total():4.0%}  {layer}\n")
    return 0


def watched(api: Api, path: str, load: Load) -> dict[str, int]:
    """How often each stack was seen holding the interpreter; what the kernel does for it is not among them."""
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "stacks"
        look = ["py-spy", "record", "--pid", str(api.answering()), "--format", "raw", "--output", str(into)]
        look += ["--rate", str(SAMPLES_PER_S), "--duration", str(SECONDS - 2), "--gil"]
        with subprocess.Popen(look, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            sys.stdout.write(f"{ask(api, path, load, seconds=SECONDS)}\n")
        lines = into.read_text().splitlines()
    return {stack: int(count) for stack, count in (line.rsplit(" ", 1) for line in lines)}


def layer_of(stack: str) -> str:
    for frame in reversed(stack.split(";")):
        for layer, pattern in LAYERS.items():
            if re.search(pattern, frame):
                return layer
    return "other"


if __name__ == "__main__":
    sys.exit(main())
