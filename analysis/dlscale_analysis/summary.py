# SPDX-License-Identifier: BSD-3-Clause
"""One row per case: time, rate and interval, the share of the roof, the slowest rank, sharing, convergence, check."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Dict, List, Optional

import numpy as np
import pandas as pd

from .casestats import CaseStats, read_cases, usable, verdict
from .load import CASE_COLUMNS, Run
from .stats import EMPTY, Interval, column_quantiles, median_interval, mover_ratio
from .steps import roof_rates
from .units import RATE_UNITS, case_labels

DEFAULT_TARGET = (
    0.02  # relative half-width that [sampling] interval asks for unless the job says otherwise
)


def summarise(run: Run, stats: Optional[Dict[int, CaseStats]] = None) -> pd.DataFrame:
    """One row per case of the file, in its order. Times in seconds per repetition, rates in FLOP/s, B/s or (unit "s")
    seconds, per rank. `low`, `high` belong to `rate`; NaN with fewer than six blocks, where only
    the spread `least` … `most` of the block medians is known."""
    stats = read_cases(run) if stats is None else stats
    labels = case_labels(run.cases)
    target = target_interval(run)
    rows = [_row(case, run, stats, labels, target) for _, case in run.cases.iterrows()]
    if not rows:  # a file without cases: the columns and their types all the same
        blank = _row(pd.Series({**CASE_COLUMNS, "params": {}, "results": {}}), run, {}, {-1: ""}, target)
        return _with_sharing(pd.DataFrame([blank]).iloc[:0], run, stats)
    return _with_sharing(pd.DataFrame(rows), run, stats)


def _row(
    case: pd.Series, run: Run, stats: Dict[int, CaseStats], labels: Dict[int, str], target: float
) -> Dict[str, Any]:
    """The summary of one case but for sharing, which needs its partner."""
    case_id = int(case["id"])
    row: Dict[str, Any] = {"case": case_id, "label": labels[case_id]}
    row.update(
        {
            name: case[name]
            for name in (
                "launch",
                "series",
                "role",
                "workload",
                "variant",
                "dtype",
                "occupancy",
                "ranks",
                "threads",
                "items",
                "status",
                "stop_reason",
                "mode",
                "check_error",
                "check_tolerance",
                "check_passed",
                "message",
                "repro",
            )
        }
    )
    row["why"] = verdict(case)
    found = stats.get(case_id)
    row.update(_measured(found, target))
    row.update(_roofs(case, found, run, stats, labels))
    return row


def target_interval(run: Run) -> float:
    """The relative half-width the job asked for; 0.02 when it says nothing."""
    match = re.search(r"^\s*interval\s*=\s*([0-9.eE+-]+)\s*(?:#.*)?$", run.resolved_text, re.MULTILINE)
    try:
        return float(match.group(1)) if match else DEFAULT_TARGET
    except ValueError:
        return DEFAULT_TARGET


def _measured(stats: Optional[CaseStats], target: float) -> Dict[str, Any]:
    """What the samples of one case give; NaN and empty when there are none."""
    nan = math.nan
    if stats is None or not stats.time.count:
        return {
            "unit": "",
            "blocks": 0,
            "samples": 0,
            "repeats": 0,
            "median_s": nan,
            "low_s": nan,
            "high_s": nan,
            "rate": nan,
            "low": nan,
            "high": nan,
            "least": nan,
            "most": nan,
            "fastest_rank": -1,
            "fastest_host": "",
            "fastest_s": nan,
            "slowest_rank": -1,
            "slowest_host": "",
            "slowest_s": nan,
            "p95_rank": -1,
            "p95_host": "",
            "p95_s": nan,
            "unconverged": 0,
            "distributed": False,
        }
    time = stats.time
    ends = sorted((stats.rate(time.low), stats.rate(time.high))) if time.valid else [nan, nan]
    spread = sorted((stats.rate(time.min), stats.rate(time.max)))
    p95 = _nearest_rank(stats.rank_s, 0.95)
    wide = np.isfinite(stats.rank_half_width) & (stats.rank_half_width > target)
    row = {
        "unit": RATE_UNITS[stats.kind],
        "blocks": len(stats.blocks),
        "samples": stats.measured,
        "repeats": stats.repeats,
        "median_s": time.median,
        "low_s": time.low,
        "high_s": time.high,
        "rate": stats.rate(time.median),
        "low": ends[0],
        "high": ends[1],
        "least": spread[0],
        "most": spread[1],
        "unconverged": int(wide.sum()),
        "distributed": stats.distributed,
    }
    for name, index in (("fastest", stats.fastest), ("slowest", stats.slowest), ("p95", p95)):
        row.update(
            {
                f"{name}_rank": int(stats.ranks[index]),
                f"{name}_host": stats.hosts[index],
                f"{name}_s": float(stats.rank_s[index]),
            }
        )
    return row


def _nearest_rank(values: np.ndarray, level: float) -> int:
    """Index of the value at this level (nearest-rank definition, so that a rank can be named)."""
    finite = np.flatnonzero(np.isfinite(values))
    order = finite[np.argsort(values[finite], kind="stable")]
    return int(order[max(0, math.ceil(level * order.size) - 1)])


def _roofs(
    case: pd.Series,
    found: Optional[CaseStats],
    run: Run,
    stats: Dict[int, CaseStats],
    labels: Dict[int, str],
) -> Dict[str, Any]:
    """Share of the roofs this case names, those of the same launch only. A roof gives a least time, flops / FLOP/s or
    bytes / B/s, of the same rank; the largest of them binds, and the share is least time / measured time.
    """
    row: Dict[str, Any] = {
        "roof": "",
        "roof_case": -1,
        "roof_rate": math.nan,
        "of_roof": math.nan,
        "of_roof_slowest": math.nan,
        "of_roof_slowest_rank": -1,
        "of_roof_slowest_host": "",
    }
    bounds = roof_bounds(case, found, run, stats)
    if found is None or not bounds:
        return row
    ids = sorted(bounds)
    least = np.vstack([bounds[roof] for roof in ids])
    known = np.isfinite(least).any(axis=0) & np.isfinite(found.rank_s)
    if not known.any():
        return row
    shares = np.full(found.rank_s.shape, np.nan)
    shares[known] = np.nanmax(least[:, known], axis=0) / found.rank_s[known]
    medians = [float(np.nanmedian(line)) if np.isfinite(line).any() else -1.0 for line in least]
    binding = ids[int(np.argmax(medians))]
    worst = int(np.nanargmin(shares))
    whole = float(np.nanmedian(shares))
    if found.distributed:
        whole = float(np.nanmax(least[:, known])) / found.time.median
    row.update(
        {
            "roof": labels[binding],
            "roof_case": binding,
            "of_roof": whole,
            "of_roof_slowest": float(shares[worst]),
            "of_roof_slowest_rank": int(found.ranks[worst]),
            "of_roof_slowest_host": found.hosts[worst],
        }
    )
    if found.kind != "time":
        row["roof_rate"] = found.work / float(np.nanmedian(least[ids.index(binding), known]))
    return row


def roof_bounds(
    case: pd.Series, found: Optional[CaseStats], run: Run, stats: Dict[int, CaseStats]
) -> Dict[int, np.ndarray]:
    """Least seconds per repetition that each named roof allows each participant; NaN where the rank has no roof.
    A distributed case shares its work among all its participants' roofs."""
    bounds: Dict[int, np.ndarray] = {}
    if found is None:
        return bounds
    for roof_id in case["results"].get("roofs", []):
        roof = stats.get(int(roof_id)) if isinstance(roof_id, (int, float)) else None
        if (
            roof is None
            or roof.id == found.id
            or int(run.case(roof.id)["launch"]) != int(case["launch"])
            or not usable(run.case(roof.id))
        ):
            continue
        work = float(case["flops"] if roof.kind == "flops" else case["bytes_touched"])
        if roof.kind in ("time", "bus") or not work > 0:
            continue
        rates = roof_rates(roof, found.ranks)
        if found.distributed:
            known = np.isfinite(rates)
            total = float(np.sum(rates[known])) * len(rates) / max(1, int(known.sum()))
            rates = np.full(rates.shape, total if known.any() else np.nan)
        bounds[roof.id] = work / rates
    return bounds


def _with_sharing(frame: pd.DataFrame, run: Run, stats: Dict[int, CaseStats]) -> pd.DataFrame:
    """Adds to each "together" case its rate over the same case's rate "alone", of the ranks measured in both."""
    alone: Dict[tuple, int] = {}
    for _, case in run.cases.iterrows():
        if case["occupancy"] == "alone" and int(case["id"]) in stats and usable(case):
            alone[_same(case)] = int(case["id"])
    ratios: List[Interval] = []
    for _, case in run.cases.iterrows():
        partner = alone.get(_same(case))
        eligible = (
            case["occupancy"] == "together"
            and case["workload"] != "noop"
            and int(case["id"]) in stats
            and usable(case)
        )
        ratios.append(
            sharing(stats[int(case["id"])], stats[partner])
            if eligible and partner is not None
            else EMPTY
        )
    values = np.array([(r.median, r.low, r.high) for r in ratios], dtype=float).reshape(-1, 3)
    return frame.assign(sharing=values[:, 0], sharing_low=values[:, 1], sharing_high=values[:, 2])


def sharing(together: CaseStats, alone: CaseStats) -> Interval:
    """Rate together / rate alone = time alone / time together; 1 = ranks don't disturb each other."""
    common = np.intersect1d(together.ranks, alone.ranks[np.isfinite(alone.rank_s)])

    def interval(stats: CaseStats) -> Interval:
        columns = np.isin(stats.ranks, common)
        return median_interval(column_quantiles(stats.rank_block_s[:, columns].T, (0.5,))[0])

    return mover_ratio(interval(alone), interval(together)) if common.size else EMPTY


def _same(case: pd.Series) -> tuple:
    """What two cases that differ in occupancy alone have in common."""
    params = {key: value for key, value in case["params"].items() if key != "occupancy"}
    return (
        int(case["launch"]),
        case["workload"],
        case["variant"],
        case["device"],
        case["dtype"],
        case["engine"],
        int(case["threads"]),
        json.dumps(params, sort_keys=True),
    )
