"""Runs that many simulations and prints a table of faults and violations: `make simulate SEEDS=10000`."""

import argparse
import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from unittest.mock import MagicMock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="run only this seed and print all its events")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--until-violation", action="store_true", help="stop soon after the first violation")
    args = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets affects the order of calls
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    logging.disable()
    import worker.dream  # noqa: F401, PLC0415 - demands to be imported before TensorFlow

    sys.modules["tensorflow"] = MagicMock()  # the simulated engine does not use it, and importing it takes seconds
    from tests.simulation.run import simulate  # noqa: PLC0415

    if args.seed is not None:
        run = simulate(args.seed, lambda event: sys.stdout.write(f"{event}\n"))
        runs, began = [run], time.monotonic()
    else:
        seeds, began = range(args.first, args.first + args.seeds), time.monotonic()
        runs = []
        with ProcessPoolExecutor(args.processes) as pool:
            for run in pool.map(simulate, seeds, chunksize=10):
                runs.append(run)
                if run.broken and args.until_violation:
                    pool.shutdown(cancel_futures=True)
                    break
    _report(runs, time.monotonic() - began)
    sys.exit(1 if any(run.broken for run in runs) else 0)


def _report(runs, seconds: float) -> None:
    faults: Counter[str] = sum((run.faults for run in runs), Counter())
    kinds: dict[str, list[int]] = {}
    for run in runs:
        for kind in {sentence.split(":")[0] for sentence in run.broken}:
            kinds.setdefault(kind, []).append(run.seed)
    rows = [("runs", len(runs)), ("jobs", sum(run.jobs for run in runs)), ("faults", faults.total())]
    rows += [(f"  {kind}", count) for kind, count in sorted(faults.items())]
    rows += [("runs with a violation", sum(bool(run.broken) for run in runs))]
    rows += [(f"  {kind} ({', '.join(map(str, seeds[:8]))})", len(seeds)) for kind, seeds in sorted(kinds.items())]
    sys.stdout.write("".join(f"{name:<64}{count:>8}\n" for name, count in rows))
    for kind, seeds in sorted(kinds.items()):
        for run in [run for run in runs if run.seed in seeds[:3]]:
            sentence = next(sentence for sentence in run.broken if sentence.startswith(f"{kind}:"))
            sys.stdout.write(f"seed {run.seed}: {sentence}\n")
    sys.stdout.write(f"{seconds:.0f} s\n")


if __name__ == "__main__":
    main()
