# SPDX-License-Identifier: BSD-3-Clause
"""One launch judged: which switches, nodes, devices and ranks are slow, level by level from the top.

What a named unit explains is taken off its members, so that a slow node's ranks are not named again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import numpy as np

from .casestats import CaseStats
from .load import Run
from .slow_bounds import (
    PRIOR_SIGMA,
    group_series,
    least_effect,
    noise_of,
    two_of_three,
    unit_bound,
)
from .slow_math import others_median, padded_members
from .slow_measures import COMPUTE, LATE, MEMORY, THIRDS, Measure, measures
from .slow_units import FEWEST_NODES, LEVELS, Layout, layout
from .stats import column_quantiles

FAMILY = 0.01  # chance that a run of healthy units names anybody
GROUPS = 2 * THIRDS
MANY = 512
COMBINED = -1  # "case" that is several together


@dataclass
class Finding:
    """One unit above its bound in one measure; `excess` and `bound` relative, of the no-op in seconds."""

    level: str
    unit: int
    measure: int
    excess: float
    bound: float


@dataclass(eq=False)
class Judged:
    """A launch and what was found. `series` [group of blocks, unit] are deviations from the equals."""

    layout: Layout
    measures: List[Measure]
    series: Dict[Tuple[int, str], np.ndarray] = field(default_factory=dict)  # (measure, level)
    findings: List[Finding] = field(default_factory=list)
    tested: Dict[str, int] = field(default_factory=dict)  # units × measures of each level
    units: Dict[str, int] = field(default_factory=dict)  # units of each level that could be compared

    @property
    def launch(self) -> int:
        return self.layout.launch

    def owners(self, level: str) -> np.ndarray:
        """Of each unit of a level the one that must not be its reference: its node; itself where there are too few."""
        group, place = self.layout.groups[level], self.layout
        count = len(group.names)
        if level in ("node", "switch") or len(place.hosts) < FEWEST_NODES:
            return np.arange(count)
        owner = np.zeros(count, dtype=int)
        inside = group.member >= 0
        owner[group.member[inside]] = place.host[inside]
        return owner

    def has(self, level: str, key: str) -> bool:
        """Is the unit with this key part of the launch?"""
        return level in self.layout.groups and key in self.layout.groups[level].keys

    def value(self, level: str, unit: int, kind: str) -> float:
        """The unit's statistic in a kind, in logarithms: of the cases together where they are, else their median."""
        found = {}
        for index, measure in enumerate(self.measures):
            if measure.kind == kind and measure.quantity == "median" and measure.scale == "log":
                statistic = float(two_of_three(self.series[index, level])[unit])
                if math.isfinite(statistic):
                    found[measure.case] = statistic
        single = [value for case, value in found.items() if case != COMBINED]
        return found.get(COMBINED, float(np.median(single)) if single else math.nan)

    def check(
        self, level: str, key: str, kind: str, alpha: float, combined: bool = False
    ) -> Optional[bool]:
        """Is the unit with this key slow here, too, in some measure of the kind (with `combined`: in the cases together),
        at `alpha` for one test? None where it was not compared."""
        if not self.has(level, key):
            return None
        unit, answer = self.layout.groups[level].keys.index(key), None
        owner = self.owners(level)
        for index, measure in enumerate(self.measures):
            series = self.series.get((index, level))
            if measure.kind != kind or series is None or (combined and measure.case != COMBINED):
                continue
            statistic = two_of_three(series)
            if np.isfinite(statistic[unit]):
                value = float(statistic[unit])
                others = owner != owner[unit]
                answer = bool(answer) or value > unit_bound(
                    series, others, statistic, alpha, measure.scale, value
                )
        return answer


def relative(value: float, scale: str) -> float:
    """A deviation as people read it: +0.05 = 5 % more time (or of the case's time); the no-op's seconds as they are."""
    return math.expm1(value) if scale == "log" else float(value)


def judge(run: Run, stats: Dict[int, CaseStats], launch: int) -> Judged:
    """Judges one launch of a file."""
    place = layout(run, launch)
    return judge_measures(place, measures(run, launch, stats, len(place.hosts)))


def judge_measures(place: Layout, found: List[Measure]) -> Judged:
    """Judges what was measured on these ranks."""
    result = Judged(place, list(found))
    if not result.measures or len(place.ranks) < 2:
        return result
    ranks = [_deviations(measure, place) for measure in result.measures]
    _combine(result, ranks)
    levels = [level for level in LEVELS if level in place.groups]
    for index, series in enumerate(ranks):
        for level in levels:
            result.series[index, level] = _of_units(series, place, level, result.owners(level))
    for level in levels:
        counts = [
            int(np.isfinite(two_of_three(result.series[i, level])).sum()) for i in range(len(ranks))
        ]
        result.tested[level], result.units[level] = sum(counts), max(counts)
    alpha = FAMILY / max(1, sum(result.tested.values()))
    for position, level in enumerate(levels):
        new = _test(result, level, alpha)
        result.findings += new
        if new and position + 1 < len(levels):
            _explain(result, ranks, new, level)
            for index, series in enumerate(ranks):
                for below in levels[position + 1 :]:
                    result.series[index, below] = _of_units(series, place, below, result.owners(below))
    return result


def _deviations(measure: Measure, place: Layout) -> np.ndarray:
    """[group, rank of the launch]: each rank against the median of its slot, block by block. That reference is the same for
    all, so that a difference between units of several slots is taken once, by _of_units()."""
    whole = np.full((len(measure.values), len(place.ranks)), np.nan)
    whole[:, place.columns(measure.ranks)] = measure.values
    result = np.full(whole.shape, np.nan)
    present = np.isfinite(whole).any(axis=0)
    for slot in np.unique(place.slot[present]):
        columns = np.flatnonzero(present & (place.slot == slot))
        if columns.size >= FEWEST_NODES:
            centre = column_quantiles(whole[:, columns].T, (0.5,))[0]
            result[:, columns] = whole[:, columns] - centre[:, None]
    return group_series(result, GROUPS if len(result) >= GROUPS else THIRDS)


def _of_ranks(series: np.ndarray, place: Layout) -> np.ndarray:
    """Each rank against the median of its slot on other nodes."""
    result = np.full(series.shape, np.nan)
    present = np.isfinite(series).any(axis=0)
    for slot in np.unique(place.slot[present]):
        columns = np.flatnonzero(present & (place.slot == slot))
        owner = place.host[columns] if place.by_local_rank else np.arange(columns.size)
        result[:, columns] = series[:, columns] - others_median(series[:, columns], owner)
    return result


def _combine(result: Judged, ranks: List[np.ndarray]) -> None:
    """Adds the mean over all cases in which ranks work by themselves, where there are two or more: what the cases have in
    common, with less noise. A case weighs 1 / (assumed lasting spread² + its noise²)."""
    for quantity in ("median", "mean"):
        own = [
            index
            for index, measure in enumerate(result.measures)
            if measure.kind in (COMPUTE, MEMORY) and measure.quantity == quantity
        ]
        whole = [index for index in own if len(ranks[index]) == GROUPS]
        own = whole if 2 * len(whole) >= len(own) else own
        if len(own) < 2:
            continue
        groups = min(len(ranks[index]) for index in own)
        stack = np.stack([group_series(ranks[index], groups) for index in own])
        variance = [PRIOR_SIGMA**2 + noise_of(series, True).variance for series in stack]
        weight = np.where(np.isfinite(stack), 1 / np.array(variance)[:, None, None], 0.0)
        enough = 2 * np.isfinite(stack).sum(axis=0) > len(own)
        total = np.where(enough, weight.sum(axis=0), np.nan)
        mean = (weight * np.nan_to_num(stack)).sum(axis=0) / total
        ranks.append(mean)
        label = f"{len(own)} cases of its own together"
        result.measures.append(
            Measure(COMPUTE, COMBINED, label, quantity, "log", result.layout.ranks, mean)
        )


def _of_units(series: np.ndarray, place: Layout, level: str, owner: np.ndarray) -> np.ndarray:
    """Deviations of a level's units: the lower median over their ranks, against the other units' median."""
    if level == "rank":
        return _of_ranks(series, place)
    group = place.groups[level]
    if level == "switch":  # of its nodes, so that a large node counts no more than a small one
        nodes = _of_units(series, place, "node", np.arange(len(place.hosts)))
        first = np.unique(place.host, return_index=True)[1]
        values = lower_medians(nodes, group.member[first], len(group.names))
    else:
        values = lower_medians(series, group.member, len(group.names))
    if np.isfinite(values).any(axis=0).sum() < FEWEST_NODES:
        return np.full(values.shape, np.nan)
    return values - others_median(values, owner)


def lower_medians(values: np.ndarray, member: np.ndarray, count: int) -> np.ndarray:
    """[row, column] → [row, unit]: lower median over each unit's columns; of two ranks the faster one, so that one slow
    rank makes no slow node."""
    padded = padded_members(member)
    padded = np.pad(padded, ((0, count - len(padded)), (0, 0)), constant_values=-1)
    wide = np.where(padded >= 0, values[:, padded], np.nan)
    ordered = np.sort(wide, axis=2)
    known = np.isfinite(ordered).sum(axis=2)
    picked = np.take_along_axis(ordered, np.maximum((known - 1) // 2, 0)[:, :, None], axis=2)[:, :, 0]
    return np.where(known > 0, picked, np.nan)


def _test(result: Judged, level: str, alpha: float) -> List[Finding]:
    owner = result.owners(level)
    found: List[Finding] = []
    for index, measure in enumerate(result.measures):
        series = result.series[index, level]
        statistic = two_of_three(series)
        if np.isfinite(statistic).sum() < FEWEST_NODES:
            continue
        least = least_effect(int(np.isfinite(statistic).sum()), measure.scale)
        suspects = np.flatnonzero(np.nan_to_num(statistic, nan=-1.0) > least)
        shared = math.nan
        if (
            len(statistic) > MANY and suspects.size
        ):  # among so many one node's part in the scale is nothing
            shared = unit_bound(series, np.isfinite(statistic), statistic, alpha, measure.scale)
        for unit in suspects:
            bound = shared
            if math.isnan(bound):
                bound = unit_bound(
                    series, owner != owner[unit], statistic, alpha, measure.scale, float(statistic[unit])
                )
            if statistic[unit] > bound:
                excess = float(np.median(series[:, unit]))
                found.append(
                    Finding(
                        level,
                        int(unit),
                        index,
                        relative(max(excess, float(statistic[unit])), measure.scale),
                        relative(bound, measure.scale),
                    )
                )
    return found


def _explain(result: Judged, ranks: List[np.ndarray], found: List[Finding], level: str) -> None:
    """Takes the named units' deviation off their ranks, in all measures of the kinds in which they were named."""
    group = result.layout.groups[level]
    for unit in {entry.unit for entry in found}:
        kinds = {result.measures[entry.measure].kind for entry in found if entry.unit == unit}
        for index, measure in enumerate(result.measures):
            own = result.series[index, level][:, unit]
            if measure.kind in kinds or measure.kind == LATE:
                ranks[index][:, group.member == unit] -= np.where(np.isfinite(own), own, 0.0)[:, None]
