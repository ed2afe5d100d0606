"""Causes faults in a real stack and prints a table of results: `make chaos JOBS=200 SECONDS=600 SEED=7`."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import run_chaos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        home = Path(folder) / "home"
        table, complaints = run_chaos(home, jobs=args.jobs, seconds=args.seconds, seed=args.seed)
    broken = "".join(f"BROKEN  {complaint}\n" for complaint in complaints)
    sys.stdout.write(f"seed {args.seed}\n{table}\n{broken}")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
