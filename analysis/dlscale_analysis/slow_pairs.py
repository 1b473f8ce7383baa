# SPDX-License-Identifier: BSD-3-Clause
"""Two units only: there is no majority. The slower one is named where something else speaks against it, its own roof or a
late no-op; otherwise the difference is told, and that nobody knows whose fault it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import numpy as np

from .casestats import CaseStats
from .distributions import t_quantile
from .load import Run
from .slow_bounds import (
    FEW_SIGMA,
    LEAST_EFFECT,
    LEAST_OF_FEW,
    LEAST_S,
    MEDIAN_OF_THREE,
    PRIOR_NU,
    SPREADS,
    group_series,
    noise_of,
    two_of_three,
)
from .slow_judge import FAMILY, GROUPS, Judged, lower_medians, relative
from .slow_measures import THIRDS, Measure
from .summary import roof_bounds


@dataclass
class Slower:
    """The slower of two in one measure. `fault`: "own roof", "no-op", or empty where nobody can tell."""

    level: str
    unit: int
    measure: Measure
    excess: float
    bound: float
    fault: str


def slower_of_two(run: Run, stats: Dict[int, CaseStats], judged: Judged) -> List[Slower]:
    """What two nodes, or two ranks of one node, say of each other."""
    place = judged.layout
    level = "node" if len(place.hosts) == 2 else "rank" if len(place.ranks) == 2 else ""
    if not level or level not in place.groups:
        return []
    group = place.groups[level]
    found = []
    for measure in judged.measures:
        whole = np.full((len(measure.values), len(place.ranks)), np.nan)
        whole[:, place.columns(measure.ranks)] = measure.values
        units = lower_medians(whole, group.member, 2)
        entry = _compare(units, measure, 2 * len(judged.measures))
        if entry:
            unit, excess, bound = entry
            fault = "no-op" if measure.scale == "s" else _fault(run, stats, measure, group.member, unit)
            found.append(Slower(level, unit, measure, excess, bound, fault))
    return found


def _compare(units: np.ndarray, measure: Measure, tests: int) -> Optional[Tuple[int, float, float]]:
    """(slower unit, excess, bound) of two units [block, 2], if the difference is beyond chance in two of three thirds."""
    if not np.isfinite(units).any(axis=0).all():
        return None
    series = group_series(units[:, 1:] - units[:, :1], GROUPS if len(units) >= GROUPS else THIRDS)
    value = float(two_of_three(series)[0])
    if not math.isfinite(value):
        return None
    noise = noise_of(series, False)
    if measure.scale == "s":
        bound = max(LEAST_S, SPREADS * math.sqrt(noise.variance))
    else:
        own, prior = MEDIAN_OF_THREE * noise.variance, 2 * FEW_SIGMA**2
        nu = (prior + own) ** 2 / (prior**2 / PRIOR_NU + own**2 / noise.nu)
        bound = max(math.log1p(LEAST_OF_FEW), math.sqrt(prior + own) * t_quantile(FAMILY / tests, nu))
    if abs(value) <= bound:
        return None
    return int(value > 0), relative(abs(value), measure.scale), relative(bound, measure.scale)


def _fault(
    run: Run, stats: Dict[int, CaseStats], measure: Measure, member: np.ndarray, unit: int
) -> str:
    """ "own roof" if the slower one also falls short of its own roof by more than the other does."""
    own = stats.get(measure.case)
    bounds = roof_bounds(run.case(measure.case), own, run, stats) if own is not None else {}
    if own is None or not bounds or own.distributed:
        return ""
    shares = np.fmax.reduce(list(bounds.values())) / own.rank_s
    launch = np.sort(
        run.ranks.loc[run.ranks["launch"] == run.case(measure.case)["launch"], "rank"].unique()
    )
    mine = member[np.searchsorted(launch, own.ranks)] == unit
    ours, theirs = shares[mine & np.isfinite(shares)], shares[~mine & np.isfinite(shares)]
    if not ours.size or not theirs.size:
        return ""
    return "own roof" if np.median(ours) < (1 - LEAST_EFFECT) * np.median(theirs) else ""
