# SPDX-License-Identifier: BSD-3-Clause
"""Is B faster or slower than A? Ratios of speeds with intervals, Holm's procedure over the cases, verdicts.

A side has launches, a launch has block medians in seconds. With three launches or more on both sides
together the unit is the launch, its value the logarithm of the median of its block medians: launches differ
by more than blocks of one launch do (Hunold & Carpen-Amarie, IEEE TPDS 27(12), 2016). Student's t for two
samples, the spread pooled over both sides; so one side may have a single launch. With one launch on each side
blocks are all there is, and they say nothing of other launches. There

* blocks may be correlated: the standard error is that of an autoregressive series whose neighbours are
  correlated by `BLOCK_CORRELATION`, not that of independent blocks;
* a difference counts only beyond ±δ, sameness only inside ±δ/2, in place of the launches' unknown spread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import List, Sequence

import numpy as np

from .distributions import t_quantile, t_tail

FASTER, SLOWER, SAME, UNSURE = "FASTER", "SLOWER", "SAME", "UNSURE"
BLOCK_CORRELATION = 0.3  # of neighbouring blocks of one case, at most; docs/metrics.md
LEAST_BLOCKS = 6  # of a launch that is alone on its side: fewer have a spread and no interval


@dataclass(frozen=True)
class SpeedRatio:
    """Speed of B over that of A. Without degrees of freedom there is a ratio and no interval."""

    log_ratio: float  # ln(time of A / time of B), of geometric means over units
    error: float  # its standard error; NaN when unknown
    freedom: int  # degrees of freedom of `error`; 0 when unknown
    launches_a: int
    launches_b: int
    seconds_a: float  # geometric mean over launches (one launch: over its blocks)
    seconds_b: float

    @property
    def one_launch(self) -> bool:
        """Does it speak of one launch on each side only?"""
        return self.launches_a == 1 and self.launches_b == 1

    def ends(self, confidence: float) -> tuple:
        """Low and high end of the ratio's own interval; NaN when unknown."""
        if not self.freedom:
            return math.nan, math.nan
        half = t_quantile(0.5 - confidence / 2, self.freedom) * self.error
        return math.exp(self.log_ratio - half), math.exp(self.log_ratio + half)

    def p_value(self, delta: float) -> float:
        """Two-sided, of "equal"; of one launch each, of "apart by no more than δ". 1 when unknown."""
        excess = abs(self.log_ratio) - (math.log1p(delta) if self.one_launch else 0.0)
        if not (self.freedom and excess > 0 and self.error >= 0):  # NaN shows no difference
            return 1.0
        return 2 * t_tail(excess / self.error, self.freedom) if self.error > 0 else 0.0


def speed_ratio(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> SpeedRatio:
    """`a`, `b`: per launch its block medians [block], positive seconds per repetition or per unit of work;
    at least one launch each."""
    if len(a) == 1 and len(b) == 1:
        units = [np.log(a[0]), np.log(b[0])]
        widening = [autoregressive_widening(len(side)) for side in units]
        least = LEAST_BLOCKS
    else:
        units = [np.log([median(launch.tolist()) for launch in side]) for side in (a, b)]
        widening, least = [1.0, 1.0], 1
    counts = [len(side) for side in units]
    means = [float(np.mean(side)) for side in units]
    freedom, error = sum(counts) - 2, math.nan
    if freedom < 1 or min(counts) < least:
        freedom = 0
    else:
        squares = sum(float(np.sum((side - mean) ** 2)) for side, mean in zip(units, means))
        pooled = squares / freedom
        error = math.sqrt(pooled * sum(wide / count for wide, count in zip(widening, counts)))
    seconds = [math.exp(mean) for mean in means]
    return SpeedRatio(means[0] - means[1], error, freedom, len(a), len(b), *seconds)


@lru_cache(maxsize=None)
def autoregressive_widening(count: int, correlation: float = BLOCK_CORRELATION) -> float:
    """Variance of the mean of `count` values over what s² / count takes it for, when neighbours are
    correlated: the mean varies more, and s² is too small."""
    lags = np.arange(1, count)
    mean = (1 + 2 * float(np.sum((1 - lags / count) * correlation**lags))) / count  # in units of σ²
    return mean * (count - 1) / (1 - mean) if count > 1 else math.nan


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted p-values: those up to α are the hypotheses that Holm's procedure rejects at family-wise
    level α, however the cases depend on one another. Scand. J. Statist. 6 (1979), 65–70."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)) if p.size else p
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def verdicts(ratios: Sequence[SpeedRatio], delta: float, confidence: float) -> List[str]:
    """One word per case. The family of Holm's procedure is the cases that have an interval."""
    judged = [index for index, ratio in enumerate(ratios) if ratio.freedom]
    words = [UNSURE] * len(ratios)
    adjusted = holm([ratios[index].p_value(delta) for index in judged])
    for index, p in zip(judged, adjusted):
        ratio = ratios[index]
        low, high = ratio.ends(confidence)
        inside = math.log1p(delta) / (2 if ratio.one_launch else 1)
        if -inside < math.log(low) and math.log(high) < inside:
            words[index] = SAME
        elif p <= 1 - confidence:
            words[index] = FASTER if ratio.log_ratio > 0 else SLOWER
    return words
