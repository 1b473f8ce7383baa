# SPDX-License-Identifier: BSD-3-Clause
"""How often dlscale-slow finds a fault, and how often it names somebody who is healthy, on simulated run files.

python3 slow_rates.py [--ranks 8,64,1000,10000] [--runs N] [--sigma 0.01] [--folder /tmp]

Prints a Markdown table, row by row as they are done. Each rate has its Clopper–Pearson interval of 95 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Tuple

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from dlscale_analysis.slow_command import look  # noqa: E402
from proportions import clopper_pearson  # noqa: E402
from simulate_slow import SIGMA, Fault, write_simulated  # noqa: E402

SIZES = {8: (8, 1), 64: (8, 8), 1000: (125, 8), 10000: (1250, 8)}  # ranks → nodes, ranks per node
RUNS = {8: 200, 64: 200, 1000: 40, 10000: 10}
FAULTS = (
    ("none", 0.0, "nothing"),
    ("rank", 0.05, "a rank, 5 % above what it was"),
    ("edge", 0.05, "a rank, 5 % beyond the slowest"),
    ("node", 0.06, "a node, 6 %"),
)


def one_run(
    folder: Path, ranks: int, kind: str, size: float, seed: int, sigma: float
) -> Tuple[bool, bool]:
    """(found, somebody healthy named) in one simulated file. A fault is found when it is named at its own level (with one
    rank per node: the node)."""
    hosts, per_host = SIZES[ranks]
    rng = np.random.default_rng([seed, ranks])
    unit = int(rng.integers(hosts if kind == "node" else ranks))
    path = folder / "simulated.h5"
    slow = write_simulated(str(path), hosts, per_host, seed, Fault(kind, size, unit), sigma)
    named = look([str(path)]).named
    path.unlink()
    found = any(set(entry.ranks) == slow for entry in named)
    return found, any(not set(entry.ranks) <= slow for entry in named)


def rate(hits: int, runs: int) -> str:
    low, high = clopper_pearson(hits, runs)
    return f"{hits} of {runs}: {100 * hits / runs:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", default=",".join(map(str, SIZES)))
    parser.add_argument(
        "--runs", type=int, default=0, help="per row (default: 200, fewer for large sizes)"
    )
    parser.add_argument("--sigma", type=float, default=SIGMA, help="lasting spread between ranks")
    parser.add_argument(
        "--folder", default=None, help="where the files are written (default: the system's)"
    )
    options = parser.parse_args()
    print("| ranks | slow | found | somebody healthy named | seconds per run |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for ranks in map(int, options.ranks.split(",")):
            for number, (kind, size, words) in enumerate(FAULTS):
                runs, begin = options.runs or RUNS[ranks], time.monotonic()
                results = [
                    one_run(Path(folder), ranks, kind, size, 1000 * number + seed, options.sigma)
                    for seed in range(runs)
                ]
                found, wrong = (sum(column) for column in zip(*results))
                took = (time.monotonic() - begin) / runs
                cell = rate(found, runs) if kind != "none" else "–"
                print(f"| {ranks:,} | {words} | {cell} | {rate(wrong, runs)} | {took:.1f} |", flush=True)


if __name__ == "__main__":
    main()
