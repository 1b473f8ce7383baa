# SPDX-License-Identifier: BSD-3-Clause
"""How often dlscale-compare is wrong, and how often it sees what is there, on invented blocks:

python3 simulate_compare.py [EXPERIMENTS]      prints the tables of docs/results as Markdown

A block median's logarithm is that of its case + its launch's deviation (half of its variance common to all
cases of the launch) + autoregressive noise over the six blocks. Twelve cases; δ = 3 %, confidence 95 %.
"""

from __future__ import annotations

import math
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dlscale_analysis.compare_stats import FASTER, SAME, SLOWER, speed_ratio, verdicts  # noqa: E402
from proportions import clopper_pearson  # noqa: E402

DELTA, CONFIDENCE = 0.03, 0.95


@dataclass(frozen=True)
class World:
    """Standard deviations are of logarithms, so about relative."""

    launches_a: int
    launches_b: int
    block_sd: float = 0.01
    launch_sd: float = 0.005
    correlation: float = 0.3  # of neighbouring blocks
    skewed: bool = False  # exponential noise: mostly undisturbed, sometimes much slower
    cases: int = 12
    blocks: int = 6
    wilder: float = 1.0  # launches of B scatter this many times as much as those of A
    slower: float = 0.0  # of the first case in B: its time is 1 + slower times that of A


def experiment(world: World, rng: np.random.Generator) -> List[str]:
    """Verdicts of all cases in one comparison."""
    a = _side(world, world.launches_a, rng)
    b = _side(replace(world, launch_sd=world.wilder * world.launch_sd), world.launches_b, rng)
    b[:, 0] *= 1 + world.slower
    ratios = [speed_ratio(list(a[:, case]), list(b[:, case])) for case in range(world.cases)]
    return verdicts(ratios, DELTA, CONFIDENCE)


def _side(world: World, launches: int, rng: np.random.Generator) -> np.ndarray:
    """Seconds [launch, case, block]."""
    common = rng.standard_normal((launches, 1, 1)) + np.zeros((launches, world.cases, 1))
    own = rng.standard_normal((launches, world.cases, 1))
    noise = _noise(world, (launches, world.cases, world.blocks), rng)
    return np.exp(world.launch_sd * (common + own) / math.sqrt(2) + world.block_sd * noise)


def _noise(world: World, shape: Tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """AR(1) of standard deviation 1 over the last axis."""
    fresh = rng.exponential(size=shape) - 1 if world.skewed else rng.standard_normal(shape)
    noise = np.empty(shape)
    noise[..., 0] = fresh[..., 0]
    for block in range(1, shape[-1]):
        noise[..., block] = (
            world.correlation * noise[..., block - 1]
            + math.sqrt(1 - world.correlation**2) * fresh[..., block]
        )
    return noise


def counts(world: World, experiments: int, seed: int) -> Dict[str, int]:
    """Experiments with any false difference (of cases that are equal), and what was said of the first case."""
    rng = np.random.default_rng(seed)
    found = {"false": 0, SLOWER: 0, FASTER: 0, SAME: 0}
    for _ in range(experiments):
        said = experiment(world, rng)
        equal = said if world.slower == 0 else said[1:]
        found["false"] += any(word in (FASTER, SLOWER) for word in equal)
        for word in (SLOWER, FASTER, SAME):
            found[word] += said[0] == word
    return found


SIDES = ((1, 1), (2, 2), (3, 3), (6, 6), (6, 1))
WORLDS = (
    World(1, 1, 0.003, 0.002),
    World(1, 1, 0.01, 0.0, 0.0),
    World(1, 1, 0.01, 0.0),
    World(1, 1, 0.01, 0.005),
    World(1, 1, 0.01, 0.01),
    World(1, 1, 0.01, 0.02),
    World(1, 1, 0.05, 0.005),
    World(1, 1, 0.05, 0.005, 0.5),
    World(1, 1, 0.05, 0.005, 0.7),
    World(1, 1, 0.03, 0.01, skewed=True),
    World(1, 1, 0.003, 0.005, wilder=3.0),
)
QUESTIONS = (  # title, how much slower the first case of B is, what is counted
    ("(a) Nothing differs: any FASTER or SLOWER among the 12 cases, %", 0.0, "false"),
    ("(b) One case 5 % slower: found SLOWER, %", 0.05, SLOWER),
    ("(c) One case 3 % slower (δ): called SAME, %", DELTA, SAME),
    ("(d) Nothing differs: a case is called SAME, %", 0.0, SAME),
)


def tables(experiments: int) -> None:
    """One table per question: a row per world, a column per number of launches (A + B)."""
    cells = [
        (row, sides, slower)
        for row in range(len(WORLDS))
        for sides in SIDES
        for slower in sorted({slower for _, slower, _ in QUESTIONS})
    ]
    with ProcessPoolExecutor() as pool:
        results = pool.map(_cell_counts, cells, [experiments] * len(cells), range(len(cells)))
        found = dict(zip(cells, results))
    for title, slower, word in QUESTIONS:
        print(
            f"\n**{title}**\n\n| blocks | launches | "
            + " | ".join(f"{a} + {b}" for a, b in SIDES)
            + " |"
        )
        print("|---" * (2 + len(SIDES)) + "|")
        for row, world in enumerate(WORLDS):
            shown = [_cell(found[row, sides, slower][word], experiments) for sides in SIDES]
            print(f"| {_blocks(world)} | {_launches(world)} | " + " | ".join(shown) + " |")


def _cell_counts(cell: tuple, experiments: int, seed: int) -> Dict[str, int]:
    row, (a, b), slower = cell
    return counts(replace(WORLDS[row], launches_a=a, launches_b=b, slower=slower), experiments, seed)


def _cell(hits: int, experiments: int) -> str:
    low, high = clopper_pearson(hits, experiments)
    return f"{100 * hits / experiments:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def _blocks(world: World) -> str:
    return f"{100 * world.block_sd:g} %, r {world.correlation:g}{', skewed' if world.skewed else ''}"


def _launches(world: World) -> str:
    return f"{100 * world.launch_sd:g} %" + (f", B {world.wilder:g} ×" if world.wilder != 1 else "")


if __name__ == "__main__":
    tables(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
