# SPDX-License-Identifier: BSD-3-Clause
"""Why a unit is slow, as far as the file tells: what it is slow at, and what the probes beside the samples say."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, List, Tuple

import numpy as np

from .load import Run
from .slow_bounds import LEAST_EFFECT
from .slow_judge import Finding, Judged
from .slow_measures import COMPUTE, KINDS, LINK, MEMORY, Measure
from .units import percent, quantity

THROTTLED = "throttling"
STEADY, INTERMITTENT = "steady", "intermittent"
EXPLAINS = 0.5  # share of the lost time that a probe must account for
ALONE = 0.01  # level of the one test for computing where something else was named
MEMORY_AHEAD = 1.5  # memory is the cause where it lost this many times what computing lost


@dataclass
class Cause:
    """`kind` is what it is slow at (slow_measures.KINDS); `cause` that, or throttling."""

    kind: str
    cause: str
    pattern: str  # steady | intermittent
    finding: Finding  # the clearest one of the kind
    details: List[str] = field(default_factory=list)


def cause_of(run: Run, judged: Judged, found: List[Finding]) -> Cause:
    """The cause behind all findings of one unit. A processor that is taken away slows memory and links, too, and delays
    everything: computing comes first wherever it is slow at that."""
    by_kind: Dict[str, List[Finding]] = {}
    for entry in found:
        by_kind.setdefault(judged.measures[entry.measure].kind, []).append(entry)
    kind = next(kind for kind in KINDS if kind in by_kind)
    own = {name: _lost(judged, entries) for name, entries in by_kind.items()}
    if kind == COMPUTE and own.get(MEMORY, 0.0) > MEMORY_AHEAD * own[COMPUTE]:
        kind = MEMORY
    clearest = max(by_kind[kind], key=lambda entry: entry.excess / max(entry.bound, 1e-12))
    result = Cause(kind, kind, _pattern(judged, by_kind[kind]), clearest)
    if kind in (COMPUTE, MEMORY):
        with_case = [entry for entry in by_kind[kind] if judged.measures[entry.measure].case >= 0]
        if with_case:
            _ask_probes(run, judged, max(with_case, key=lambda entry: entry.excess), result)
    if kind in (MEMORY, LINK) and COMPUTE not in by_kind and _computes_slowly(judged, clearest):
        result.cause = COMPUTE
        result.details.append(f"named for {kind}, but slow in the cases of its own as well")
    others = [name for name in KINDS if name in by_kind and name != kind]
    if others:
        result.details.append(f"slow in {', '.join(others)} as well")
    return result


def _computes_slowly(judged: Judged, clearest: Finding) -> bool:
    """Does a unit named for memory or a link lose at least half as much in computing, or enough for one test of it?"""
    value = judged.value(clearest.level, clearest.unit, COMPUTE)
    named = judged.measures[clearest.measure]
    if math.isnan(value) or named.scale != "log":
        return False
    key = judged.layout.groups[clearest.level].keys[clearest.unit]
    enough = value >= math.log1p(LEAST_EFFECT) and value >= 0.5 * math.log1p(clearest.excess)
    return enough or bool(judged.check(clearest.level, key, COMPUTE, ALONE, combined=True))


def _lost(judged: Judged, found: List[Finding]) -> float:
    """Largest excess among single cases, or among all where there are none."""
    single = [entry.excess for entry in found if judged.measures[entry.measure].case >= 0]
    return max(single or [entry.excess for entry in found])


def _pattern(judged: Judged, found: List[Finding]) -> str:
    """Intermittent: only means show it, not medians; or a third of its blocks and more are as fast as its equals'."""
    if all(judged.measures[entry.measure].quantity == "mean" for entry in found):
        return INTERMITTENT
    shares = []
    for entry in found:
        series = judged.series[entry.measure, entry.level][:, entry.unit]
        shares.append(float(np.mean(series < 0.25 * np.max(series))))
    return INTERMITTENT if np.median(shares) >= 1.0 / 3 - 1e-9 else STEADY


def _ask_probes(run: Run, judged: Judged, entry: Finding, result: Cause) -> None:
    """Frequency, stolen time and processor time of the unit's ranks against the others', in one case."""
    measure = judged.measures[entry.measure]
    group = judged.layout.groups[entry.level]
    columns = judged.layout.columns(measure.ranks)
    mine = group.member[columns] == entry.unit
    readings = _readings(run, measure)
    lost = entry.excess / (1.0 + entry.excess)  # share of its time that equals would not have needed
    frequency = _two(readings.get("frequency"), mine)
    if _short_of(frequency) >= max(0.03, EXPLAINS * lost):
        result.cause = THROTTLED
        own, usual = (quantity(value, "Hz") for value in frequency)
        result.details.append(f"its cores run at {own}, its equals' at {usual}")
    steal = _two(readings.get("steal"), mine)
    cores = _threads(run, judged, columns, mine)
    if (steal[0] - steal[1]) / cores >= EXPLAINS * lost:
        result.cause = THROTTLED
        result.details.append(f"a hypervisor takes {percent(steal[0] / cores)} of its cores' time")
    busy = _two(readings.get("cpu_time"), mine)
    if result.cause != THROTTLED and _short_of(busy) >= EXPLAINS * lost:
        result.details.append(
            f"its processes get {percent(busy[0] / busy[1])} of the processor time of their equals: stopped or "
            "crowded out, rather than slow"
        )


def _readings(run: Run, measure: Measure) -> Dict[str, np.ndarray]:
    """[rank] medians of the frequency, and seconds per second of the probes that count seconds."""
    samples = run.samples(measure.case)
    names = samples.probe_names
    if not names:
        return {}
    total = np.zeros((len(names), samples.participants))
    time = np.zeros_like(total)
    frequency = np.full(samples.participants, np.nan)
    for columns in samples.column_pieces():
        values = samples.probes(columns=columns)
        seconds = samples.seconds(columns=columns, measured=True) * samples.repeats[:, None]
        for index in range(len(names)):
            known = np.isfinite(values[:, :, index]) & np.isfinite(seconds)
            total[index, columns] = np.where(known, values[:, :, index], 0.0).sum(axis=0)
            time[index, columns] = np.where(known, seconds, 0.0).sum(axis=0)
            if names[index] == "frequency":
                frequency[columns] = _means(np.where(known, values[:, :, index], np.nan))
    rates = np.divide(total, time, out=np.full(total.shape, np.nan), where=time > 0)
    return {**dict(zip(names, rates)), "frequency": frequency}


def _means(values: np.ndarray) -> np.ndarray:
    count = np.isfinite(values).sum(axis=0)
    total = np.nansum(values, axis=0)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _two(values: object, mine: np.ndarray) -> Tuple[float, float]:
    """Median of the unit's ranks and of the others; NaN, which no comparison passes, where one is missing."""
    if not isinstance(values, np.ndarray):
        return float("nan"), float("nan")
    own, rest = values[mine & np.isfinite(values)], values[~mine & np.isfinite(values)]
    if not own.size or not rest.size:
        return float("nan"), float("nan")
    return float(np.median(own)), float(np.median(rest))


def _short_of(pair: Tuple[float, float]) -> float:
    """By which share the unit's value is below the others'."""
    return 1 - pair[0] / pair[1] if pair[1] > 0 else float("nan")


def _threads(run: Run, judged: Judged, columns: np.ndarray, mine: np.ndarray) -> float:
    """Threads that ran on a host of the unit: steal is counted over all its cores."""
    rows = run.ranks[run.ranks["launch"] == judged.launch]
    hosts = {judged.layout.hosts[code] for code in judged.layout.host[columns[mine]]}
    return float(max(1, rows.loc[rows["host"].isin(hosts), "threads"].groupby(rows["host"]).sum().max()))
