"""Simulates each mutant until a seed shows a violation: python -m tests.simulation.mutation --seeds 1000

A mutant that survives means that the simulator does not test what the mutant breaks.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.local.process import ROOT
from tests.simulation.mutation.mutants import MUTANTS, Mutant

FOLDERS = ("api", "deploy", "shared", "tests", "worker")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--only", default="", help="part of the names of the mutants to try")
    args = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if args.only in mutant.name]
    survivors = sum(not _killed(mutant, args.seeds) for mutant in chosen)
    sys.stdout.write(f"{len(chosen) - survivors} of {len(chosen)} mutants were killed\n")
    sys.exit(1 if survivors else 0)


def _killed(mutant: Mutant, seeds: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        for name in FOLDERS:
            shutil.copytree(
                ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__")
            )
        apply(mutant, Path(folder))
        command = ["-m", "tests.simulation", "--seeds", str(seeds), "--processes", "1", "--until-violation"]
        run = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    found = re.search(r"^seed (\d+): (.*)$", run.stdout, re.MULTILINE)
    if found is None and run.returncode != 0:
        raise SystemExit(f"The simulation of '{mutant.name}' failed:\n{run.stdout}{run.stderr}")
    verdict = f"seed {found[1]}: {found[2][:120]}" if found else f"survived {seeds} seeds"
    sys.stdout.write(f"{mutant.name}: {verdict}\n")
    sys.stdout.flush()
    return found is not None


def apply(mutant: Mutant, folder: Path) -> None:
    """Changes the mutant's file in a copy of the repository. Raises ValueError if the code no longer fits."""
    path = folder / mutant.file
    text = path.read_text()
    for old, new in mutant.edits:
        if text.count(old) != 1:
            raise ValueError(f"The mutant '{mutant.name}' needs this text once in {mutant.file}:\n{old}")
        text = text.replace(old, new)
    path.write_text(text)


if __name__ == "__main__":
    main()
