# SPDX-License-Identifier: BSD-3-Clause
"""How far a unit may lie above its equals by chance. docs/slow-nodes.md derives it.

A unit's statistic is the median of its three thirds: above a bound exactly when two of the three are. Its chance is that
of a lasting part, Student's t with a scale from the other units and a prior, and of noise, whose distribution is that of
the run's own thirds under all permutations among units and thirds: P(median of three > x) = 3q² − 2q³ with q the share
of thirds above x. Whichever gives the larger bound holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .distributions import NORMAL, f_quantile, normal_tail, t_quantile
from .slow_math import robust_scale
from .slow_measures import THIRDS
from .stats import column_quantiles

FEWEST = 8  # units from which their own spread is a scale
LEAST_EFFECT = 0.03  # smaller differences are not worth a name
LEAST_OF_FEW = 0.10  # likewise where the spread of equals is assumed, not seen
PRIOR_SIGMA, PRIOR_NU = (
    0.013,
    8.0,
)  # lasting spread between equal devices, and how many values that belief is worth
CONTRADICTS = 0.25  # level of the F test by which the spread of the units overrules the prior
LEAST_S, SPREADS = (
    1e-6,
    10.0,
)  # of the no-op, whose excess is absolute: seconds, and multiples of the spread
FEW_SIGMA = 0.02  # the spread assumed where there are too few to see it
MEDIAN_OF_THREE = 0.449  # its variance over that of one, of normal values (David & Nagaraja, table 3.2)
CHI2_MEDIAN = 0.693  # median over mean of χ² with two degrees of freedom
POOL = 3000  # values by which the noise of more thirds is represented


@dataclass
class Noise:
    """Of some units: `thirds` their noise [n], `variance` of a third's, `nu` its degrees of freedom."""

    thirds: np.ndarray
    variance: float
    nu: float


def group_series(values: np.ndarray, groups: int) -> np.ndarray:
    """[block, n] → [group, n]: medians over blocks in order, as even as possible; NaN without any."""
    if len(values) == groups:
        return values
    pieces = np.array_split(np.arange(len(values)), groups)
    return np.concatenate([column_quantiles(values[rows], (0.5,)) for rows in pieces])


def thirds_of(series: np.ndarray) -> np.ndarray:
    """[3 or 6 groups, n] → [3, n]; NaN where a group is missing."""
    return series.reshape(THIRDS, -1, series.shape[1]).mean(axis=1)


def two_of_three(series: np.ndarray) -> np.ndarray:
    """The statistic: the median of the three thirds [n]."""
    return np.sort(thirds_of(series), axis=0)[1] + 0.0 * series.sum(
        axis=0
    )  # NaN where a group is missing


def noise_of(series: np.ndarray, robust: bool) -> Noise:
    """Noise of a third around its unit. With `robust`, for many units, from the thirds themselves, so that the blocks' own
    correlation is in it. Of few units that would be too few values: from their groups of blocks, with the correlation
    of neighbours as the run shows it (AR(1), never below 0)."""
    series = series[:, np.isfinite(series).all(axis=0)]
    groups, units = series.shape
    if not units:
        return Noise(np.zeros(0), 0.0, 1.0)
    thirds = thirds_of(series)
    away = thirds - thirds.mean(axis=0)
    # From the mean of three a lone burst is two thirds of itself; from their median it is whole.
    scaled = away * math.sqrt(THIRDS / (THIRDS - 1.0))
    pool = np.maximum(scaled, thirds - np.sort(thirds, axis=0)[1]).ravel()
    if robust:
        own = (away**2).sum(axis=0) / (THIRDS - 1)
        return Noise(pool, float(np.median(own)) / CHI2_MEDIAN, units * (THIRDS - 1.0))
    rest = series - series.mean(axis=0)
    total, per_third = float((rest**2).sum()), groups // THIRDS
    rho = 0.0
    if per_third > 1 and total > 0:
        rho = min(0.8, max(0.0, float((rest[1:] * rest[:-1]).sum()) / total + 1.0 / groups))
    variance = total / (units * (groups - 1)) * (1 + rho if per_third > 1 else 1) / per_third
    free = max(2.0, units * (groups - 1) * (1 - rho**2) / (1 + rho**2))
    return Noise(pool, variance, free)


def lasting_scale(others: np.ndarray, noise: Noise, few: bool) -> Tuple[float, float]:
    """Standard deviation of the statistic of a healthy unit and its degrees of freedom. Of FEWEST units and more the
    others' own, moderated by the prior (Smyth 2004) unless they contradict it; of fewer the prior and
    the noise, or the others' spread where it is larger."""
    own = MEDIAN_OF_THREE * noise.variance
    lasting = FEW_SIGMA**2 if few else PRIOR_SIGMA**2
    prior = lasting + own
    s, nu = robust_scale(others, math.sqrt(prior))
    if few:
        free = prior**2 / (lasting**2 / PRIOR_NU + own**2 / noise.nu)
        return max(math.sqrt(prior), s if math.isfinite(s) else 0.0), free
    if s * s / prior > f_quantile(CONTRADICTS, nu, PRIOR_NU):
        return s, nu
    return math.sqrt((PRIOR_NU * prior + nu * s * s) / (PRIOR_NU + nu)), PRIOR_NU + nu


def chance_bound(
    others: np.ndarray, noise: Noise, few: bool, alpha: float, value: float = math.inf
) -> float:
    """What a healthy unit's statistic exceeds with probability `alpha`, in the statistic's own units (logarithms). Once
    it is known to be above `value`, no more is calculated."""
    sigma, nu = lasting_scale(others, noise, few)
    # The median of the others that the unit is compared with is off by this much, for all of them alike.
    sigma *= math.sqrt(1 + 0.5 * math.pi / max(1, len(others)))
    from_spread = sigma * t_quantile(alpha, nu)
    if from_spread >= value:
        return from_spread
    lasting = math.sqrt(max(sigma**2 - MEDIAN_OF_THREE * noise.variance, (0.5 * PRIOR_SIGMA) ** 2))
    return max(from_spread, _permuted(noise.thirds, lasting, alpha))


def _permuted(pool: np.ndarray, sigma: float, alpha: float) -> float:
    """Bound of a normal lasting part plus the median of three thirds drawn from the pool."""
    if not pool.size:
        return 0.0
    x = np.sort(pool)
    above = np.arange(pool.size, -1, -1.0) / pool.size
    tail = 3 * above**2 - 2 * above**3  # P(median of three ≥ x_j), and 0
    weight = tail[:-1] - tail[1:]
    if x.size > POOL:  # the upper end as it is, the rest in steps, each at its upper end
        edges = np.unique(
            np.r_[
                np.linspace(0, x.size - POOL // 2, POOL // 2).astype(int), x.size - np.arange(POOL // 2)
            ]
        )
        weight = np.add.reduceat(weight, edges[:-1])
        x = x[edges[1:] - 1]
    low, high = float(x[0]) - sigma, float(x[-1]) + sigma * NORMAL.inv_cdf(1 - min(alpha, 0.4))
    for _ in range(50):
        middle = 0.5 * (low + high)
        chance = float((weight * normal_tail((middle - x) / sigma)).sum())
        low, high = (middle, high) if chance > alpha else (low, middle)
    return max(high, 0.0)


def unit_bound(
    series: np.ndarray,
    others: np.ndarray,
    statistic: np.ndarray,
    alpha: float,
    scale: str,
    value: float = math.inf,
) -> float:
    """Bound of one unit among the columns of `series` [group, n]; `others` [n]: those that are not its own node. Exact
    where the bound is below `value`."""
    finite = np.isfinite(statistic)
    few, least = int(finite.sum()) < FEWEST, least_effect(int(finite.sum()), scale)
    if least >= value:
        return least
    mine = others & finite
    noise = noise_of(series[:, mine], not few)
    if scale == "s":
        spread, _ = robust_scale(statistic[mine])
        spread = 0.0 if math.isnan(spread) else spread
        return max(least, SPREADS * max(spread, math.sqrt(noise.variance)))
    return max(least, chance_bound(statistic[mine], noise, few, alpha, value))


def least_effect(units: int, scale: str) -> float:
    """What is worth a name among so many units, in the measure's own scale."""
    least = LEAST_OF_FEW if units < FEWEST else LEAST_EFFECT
    return {"log": math.log1p(least), "share": least, "s": LEAST_S}[scale]
