# SPDX-License-Identifier: BSD-3-Clause
"""Scaling curves: time, speed-up and efficiency over the number of ranks, against a named baseline.

With w the useful work of a repetition over all participants, b the smallest p that completed (a full node, where the
curve goes beyond one and has it):

    g = T_b · (w_p / w_b) · (b / p)      E = g / T_p      speed-up = (w_p / T_p) / (w_b / T_b)

for strong and both kinds of weak scaling alike. T is the case's time: median over blocks of the block's median of the
slowest rank of each sample. Ratios are made inside one launch only.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import pandas as pd

from .casestats import CaseStats, is_distributed, usable
from .load import Run
from .places import oversubscribed
from .stats import EMPTY, Interval, mover_ratio, scaled
from .twins import own_share, useful_work
from .units import IMAGES, plural, product_sizes, quantity, short

ONE = Interval(1.0, math.nan, math.nan, 0, math.nan, 1.0, 1.0)  # by definition
SIZES = ("batch", "global_batch", "m", "n", "k", "grid")  # may differ along a curve of one series


@dataclass
class Point:
    """One case of a curve."""

    case: int
    p: int
    nodes: int
    work: float  # FLOP or images per repetition, over all participants
    time: Interval
    mode: str
    efficiency: Interval = EMPTY
    speedup: Interval = EMPTY
    independent: Interval = EMPTY  # rate / p × the rate of as many ranks that work by themselves
    independent_case: int = -1
    again: bool = False  # an earlier case measured the same
    why: str = ""  # why there is no efficiency

    @property
    def rate(self) -> float:
        return self.work / self.time.median

    @property
    def rate_ends(self) -> Tuple[float, float]:
        """Low and high end of the rate's interval; NaN without one."""
        ends = (self.time.high, self.time.low)
        return tuple(self.work / end if end > 0 else math.nan for end in ends)  # type: ignore[return-value]


@dataclass
class Curve:
    """The cases of one series that differ in their ranks alone."""

    name: str
    launch: int
    workload: str
    placement: str
    scaling: str  # strong | weak | weak_memory | weak_work | …
    unit: str  # of the work per second
    points: List[Point]
    crowded: bool = False  # ranks fight for processors
    base_index: int = 0  # of points
    full_node: bool = False  # the baseline is a full node
    notes: List[str] = field(default_factory=list)

    @property
    def base(self) -> Point:
        return self.points[self.base_index]

    @property
    def last(self) -> Point:
        """The point with the most ranks, as measured first."""
        return max((point for point in self.points if not point.again), key=lambda point: point.p)

    @property
    def base_text(self) -> str:
        """The baseline with its absolute value."""
        base = self.base
        rate = quantity(base.rate, self.unit, 4)
        if self.full_node:
            rate = f"a full node, {rate}"
        return f"{plural(base.p, 'rank')} (case {base.case}, {rate}, {quantity(base.time.median, 's')})"


def curves(run: Run, stats: Dict[int, CaseStats]) -> List[Curve]:
    """All curves with at least two points, in the order of the file."""
    cases = run.cases[[is_distributed(case) for _, case in run.cases.iterrows()]]
    if cases.empty:
        return []
    # Runs without communication are controls of others, no curve of their own.
    wanted = [
        useful_work(case) > 0 and case["params"].get("communicate") is not False
        for _, case in cases.iterrows()
    ]
    cases = cases[wanted]
    groups: Dict[tuple, List[pd.Series]] = {}
    for key, members in _groups(cases).items():
        for case in members:
            groups.setdefault(key + (int(case["launch"]),), []).append(case)
    crowded = oversubscribed(run)
    launches: Dict[tuple, set] = {}
    for key in groups:
        launches.setdefault(key[:-1], set()).add(key[-1])
    found = []
    for key, members in groups.items():
        curve = _curve(run, members, stats)
        if curve is None or len(curve.points) < 2:
            continue
        curve.crowded = crowded.get(curve.launch, False)
        others = sorted(launches[key[:-1]] - {curve.launch})
        if others:
            listed = ", ".join(map(str, others))
            curve.notes.append(f"measured in launch {listed} as well: never divided by this one")
        found.append(curve)
    return _named(run, found)


def _groups(cases: pd.DataFrame) -> Dict[tuple, List[pd.Series]]:
    """Cases that differ in ranks alone; of one series also those whose sizes were written out rank by rank."""
    loose: Dict[tuple, List[pd.Series]] = {}
    for _, case in cases.iterrows():
        loose.setdefault(_key(case, SIZES), []).append(case)
    result: Dict[tuple, List[pd.Series]] = {}
    for key, members in loose.items():
        counts = [(int(case["launch"]), int(case["ranks"])) for case in members]
        if members[0]["series"] and len(set(counts)) == len(counts):
            result[key] = members
            continue
        for case in members:
            result.setdefault(_key(case, ()), []).append(case)
    return result


def _key(case: pd.Series, without: tuple) -> tuple:
    params = {name: value for name, value in case["params"].items() if name not in without}
    names = ("series", "workload", "variant", "device", "dtype", "placement", "engine")
    return (
        *(str(case[name]) for name in names),
        int(case["threads"]),
        json.dumps(params, sort_keys=True),
    )


def _curve(run: Run, members: List[pd.Series], stats: Dict[int, CaseStats]) -> Optional[Curve]:
    notes, points = [], []
    for case in sorted(members, key=lambda case: (int(case["ranks"]), int(case["id"]))):
        found = stats.get(int(case["id"]))
        if not usable(case):
            why = case["status"] if case["status"] != "completed" else "failed its check"
            notes.append(f"p = {case['ranks']} {why} (case {case['id']})")
        elif found is not None and found.time.count:
            nodes = len(set(found.hosts))
            points.append(
                Point(
                    found.id,
                    int(case["ranks"]),
                    nodes,
                    useful_work(case),
                    found.time,
                    str(case["mode"]),
                )
            )
    if not points:
        return None
    first = run.case(points[0].case)
    unit = IMAGES if float(first["items"]) > 0 else "FLOP/s"
    scaling = str(first["params"].get("scaling", "")) or _scaling(points)
    curve = Curve(
        "",
        int(first["launch"]),
        str(first["workload"]),
        str(first["placement"]),
        scaling,
        unit,
        points,
        notes=notes,
    )
    _choose_base(run, curve)
    _judge(run, curve, stats)
    return curve


def _choose_base(run: Run, curve: Curve) -> None:
    """The fewest ranks; where the curve goes beyond a node and has a point of one full node, that: what its ranks share
    (power, memory, cache), a rank alone has for itself."""
    if max(point.nodes for point in curve.points) < 2:
        return
    hosts = run.hosts(curve.launch)
    for index, point in enumerate(curve.points):
        host = hosts.get(int(run.samples(point.case).ranks[0]))
        if point.nodes == 1 and point.p == int((hosts == host).sum()):
            curve.base_index, curve.full_node = index, True
            return


def _scaling(points: List[Point]) -> str:
    """By the work: strong where it stays, weak where it grows with the ranks."""
    first, last = points[0], points[-1]
    if math.isclose(first.work, last.work, rel_tol=1e-6):
        return "strong"
    return "weak" if math.isclose(last.work / first.work, last.p / first.p, rel_tol=0.05) else ""


def _judge(run: Run, curve: Curve, stats: Dict[int, CaseStats]) -> None:
    """Fills in what is relative."""
    base = curve.base
    seen: Dict[int, Point] = {}
    for point in curve.points:
        point.again = point.p in seen
        seen.setdefault(point.p, point)
        # Of one rank nothing arrives late: isolated or batched, it is the same time.
        if 1 not in (base.p, point.p) and point.mode != base.mode:
            point.why = f"{point.mode}, the baseline {base.mode or 'not'}"
            curve.notes.append(f"p = {point.p} is {point.mode}, its baseline {base.mode}: no ratio")
            continue
        gain = mover_ratio(base.time, point.time)
        point.speedup = scaled(gain, point.work / base.work)
        point.efficiency = scaled(point.speedup, base.p / point.p)
        if point is base:
            point.speedup = point.efficiency = ONE
        _independent(run, point, stats)
    repeats = [point for point in curve.points if point.again]
    for point in repeats:
        ratio = point.time.median / seen[point.p].time.median
        curve.notes.append(
            f"p = {point.p} measured again (case {point.case}): {100 * (ratio - 1):+.1f} % in time"
        )


def _independent(run: Run, point: Point, stats: Dict[int, CaseStats]) -> None:
    """Against ranks that do the same share by themselves at the same time (train with parallel = none)."""
    case = run.case(point.case)
    partner = own_share(run, stats, case, "together")
    if partner is not None:
        point.independent = mover_ratio(stats[partner].time, point.time)
        point.independent_case = partner


def _named(run: Run, found: List[Curve]) -> List[Curve]:
    """A short name per curve: what its cases have in common, and those keys by which the curves differ."""
    params = [dict(run.case(curve.base.case)["params"]) for curve in found]
    for curve, own in zip(found, params):
        case = run.case(curve.base.case)
        rivals = [other for other, rival in zip(params, found) if rival.workload == curve.workload]
        keys = {key for other in rivals for key in other}
        differing = [
            key
            for key in own
            if key in keys and len({repr(other.get(key)) for other in rivals}) > 1 and key != "scaling"
        ]
        words = [curve.workload]
        words += [str(own["model"])] if "model" in own else []
        words += product_sizes(own)
        words += [f"{key}={short(own[key])}" for key in differing if key not in ("model", "m", "n", "k")]
        words += [str(case["dtype"])] if case["dtype"] else []
        words += [curve.scaling] if curve.scaling else []
        placements = {rival.placement for rival in found if rival.workload == curve.workload}
        words += [curve.placement] if len(placements) > 1 else []
        launches = {rival.launch for rival in found}
        words += [f"launch {curve.launch}"] if len(launches) > 1 else []
        curve.name = " ".join(words)
    return found
