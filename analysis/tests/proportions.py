# SPDX-License-Identifier: BSD-3-Clause
"""Exact intervals of rates that are counted."""

from __future__ import annotations

from typing import Tuple

from dlscale_analysis.distributions import beta_share


def clopper_pearson(hits: int, runs: int, level: float = 0.95) -> Tuple[float, float]:
    """Exact interval of a proportion (Clopper & Pearson 1934), by bisection of the binomial's tails."""
    tail = (1 - level) / 2

    def solve(falling) -> float:  # type: ignore[no-untyped-def]
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if falling(middle) else (low, middle)
        return 0.5 * (low + high)

    lower = solve(lambda p: beta_share(p, hits, runs - hits + 1) < tail) if hits else 0.0
    upper = solve(lambda p: beta_share(p, hits + 1, runs - hits) < 1 - tail) if hits < runs else 1.0
    return lower, upper
