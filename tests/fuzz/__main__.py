"""Sends thousands of odd and damaged requests and files: `make fuzz COUNT=100000 SECONDS=600 SEED=7`."""

import argparse
import sys

from tests.fuzz.run import fuzz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=20150617)
    options = parser.parse_args()
    findings = fuzz(options.count, seed=options.seed, seconds=options.seconds)
    faults = "".join(f"FAULT  {fault}\n" for fault in findings.faults)
    sys.stdout.write(
        f"seed {options.seed}: {findings.count} inputs\nresponses {dict(sorted(findings.statuses.items()))}\n"
        f"files {dict(findings.files)}\n{faults}"
    )
    sys.exit(1 if findings.faults else 0)


if __name__ == "__main__":
    main()
