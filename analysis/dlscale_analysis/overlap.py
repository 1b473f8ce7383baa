# SPDX-License-Identifier: BSD-3-Clause
"""Does communication hide behind computation, and what does that cost: three runs of one training step.

exposed = T − T without communication; hidden share = 1 − exposed / communication alone; slow-down of the compute =
local time of the step with communication / of the step without − 1.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import pandas as pd

from .bars import Bars, read_bars
from .casestats import CaseStats, is_distributed, usable
from .load import Run
from .stats import EMPTY, Interval, mover_difference, mover_ratio
from .twins import without_communication
from .units import quantity

SAME_BYTES = 0.01  # an all-reduce whose size is within this of the gradient's stands for it


@dataclass
class OverlapRow:
    """One way to overlap."""

    case: int
    overlap: str
    time: Interval
    exposed: Interval  # seconds
    hidden: float  # share of communication alone
    hidden_low: float
    hidden_high: float
    slowdown: Interval  # local time / local time without communication − 1 is `slowdown.median` − 1


@dataclass
class Overlap:
    """The ways to overlap of one training on p ranks."""

    name: str
    p: int
    without_case: int  # the run without communication; −1: none
    without: Interval
    alone_s: float  # communication alone; NaN when it is not known
    alone_text: str
    rows: List[OverlapRow]
    notes: List[str] = field(default_factory=list)


def overlaps(run: Run, stats: Dict[int, CaseStats], labels: Dict[int, str]) -> List[Overlap]:
    """One entry per training, ranks and launch that has a way to overlap and more than one rank."""
    groups: Dict[tuple, List[pd.Series]] = {}
    for _, case in run.cases.iterrows():
        if (
            case["workload"] == "train"
            and is_distributed(case)
            and int(case["ranks"]) > 1
            and "overlap" in case["params"]
            and case["params"].get("communicate") is not False
            and int(case["id"]) in stats
            and stats[int(case["id"])].time.count
            and usable(case)
        ):
            groups.setdefault(_key(case), []).append(case)
    found = [_one(run, stats, members, labels) for members in groups.values()]
    return [entry for entry in found if len(entry.rows) > 1 or entry.without_case >= 0]


def _key(case: pd.Series) -> tuple:
    params = {name: value for name, value in case["params"].items() if name != "overlap"}
    names = ("launch", "variant", "device", "dtype", "placement", "threads", "ranks")
    return (*(str(case[name]) for name in names), json.dumps(params, sort_keys=True))


def _one(
    run: Run, stats: Dict[int, CaseStats], members: List[pd.Series], labels: Dict[int, str]
) -> Overlap:
    first = members[0]
    twin = without_communication(run, stats, first)
    bars = {int(case["id"]): read_bars(run, case) for case in members}
    without = stats[twin].time if twin is not None else EMPTY
    quiet = read_bars(run, run.case(twin)) if twin is not None else None
    alone, text = communication_alone(run, stats, first)
    if not math.isfinite(alone):
        alone, text = _from_blocking(members, bars)
    rows = [_row(case, stats, bars[int(case["id"])], quiet, without, alone) for case in members]
    name = " ".join(w for w in labels[int(first["id"])].split() if not w.startswith("overlap="))
    entry = Overlap(
        name,
        int(first["ranks"]),
        -1 if twin is None else twin,
        without,
        alone,
        text,
        rows,
    )
    if twin is None:
        entry.notes.append("no run without communication (communicate = false): nothing to compare with")
    if not text:
        entry.notes.append(
            "communication alone was not measured (no isolated all-reduce of as many bytes): no hidden share"
        )
    return entry


def _row(
    case: pd.Series,
    stats: Dict[int, CaseStats],
    bars: Optional[Bars],
    quiet: Optional[Bars],
    without: Interval,
    alone: float,
) -> OverlapRow:
    time = stats[int(case["id"])].time
    exposed = mover_difference(time, without)
    slowdown = EMPTY
    if bars is not None and quiet is not None and bars.has("blocked"):
        local = bars.interval(bars.values["own"] - bars.values["blocked"])
        blocked = quiet.values["blocked"] if quiet.has("blocked") else 0.0
        slowdown = mover_ratio(local, quiet.interval(quiet.values["own"] - blocked))
    shares = [1 - seconds / alone for seconds in (exposed.median, exposed.high, exposed.low)]
    return OverlapRow(int(case["id"]), str(case["params"]["overlap"]), time, exposed, *shares, slowdown)


def gradient_bytes(run: Run, case: pd.Series) -> float:
    """Bytes that a step reduces; NaN where the case does not say."""
    sizes = run.samples(int(case["id"])).bucket_bytes
    return float(sizes.sum()) if sizes.size else math.nan


def communication_alone(run: Run, stats: Dict[int, CaseStats], case: pd.Series) -> Tuple[float, str]:
    """Time of an all-reduce of as many bytes on the same ranks in the same launch, and what it is. Never of a batched one:
    its repetitions may overlap one another, another quantity than the one reduction of a step."""
    wanted = gradient_bytes(run, case)
    fitting: List[Tuple[float, bool, int]] = []
    for _, other in run.cases.iterrows():
        size = other["params"].get("bytes")
        if (
            other["workload"] == "collective"
            and other["params"].get("op") == "allreduce"
            and other["mode"] != "batched"
            and int(other["id"]) in stats
            and stats[int(other["id"])].time.count
            and usable(other)
            and all(other[name] == case[name] for name in ("launch", "ranks", "placement"))
            and isinstance(size, (int, float))
            and wanted > 0
            and abs(size / wanted - 1) <= SAME_BYTES
        ):
            apart = abs(size / wanted - 1)
            fitting.append((apart, other["dtype"] != "f32", int(other["id"])))  # gradients are f32
    if not fitting:
        return math.nan, ""
    best = min(fitting)[-1]
    seconds = stats[best].time.median
    return seconds, f"case {best}, an all-reduce of as many bytes ({quantity(seconds, 's')})"


def _from_blocking(members: List[pd.Series], bars: Dict[int, Optional[Bars]]) -> Tuple[float, str]:
    """The transfer of the step that overlaps nothing, waiting left out."""
    for case in members:
        found = bars[int(case["id"])]
        if case["params"]["overlap"] == "none" and found is not None and found.has("waiting"):
            seconds = found.mean("blocked") - found.mean("waiting")
            if seconds > 0:
                return seconds, (
                    f"as in the step with overlap=none (case {found.case}), waiting left out "
                    f"({quantity(seconds, 's')})"
                )
    return math.nan, ""
