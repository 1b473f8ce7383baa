# SPDX-License-Identifier: BSD-3-Clause
"""Distributed products: where their time goes, and what the logical block of the library is worth."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import pandas as pd

from .bars import read_bars
from .casestats import CaseStats, usable
from .load import Run
from .stats import Interval, mover_ratio

PDGEMM_COLUMNS = [
    "case",
    "launch",
    "label",
    "ranks",
    "grid",
    "mb",
    "nb",
    "logical_block",
    "engine",
    "median_s",
    "rate",
    "rate_low",
    "rate_high",
    "blas",
    "pack",
    "mpi",
    "step_s",
    "library_block_costs",
    "library_block_pairs",
]


@dataclass
class BlockPoint:
    """One logical block."""

    block: int
    case: int
    rate: float  # FLOP/s of all ranks
    low: float
    high: float
    time: Interval


@dataclass
class BlockSweep:
    """Cases that differ in their logical block alone."""

    name: str
    ranks: int
    points: List[BlockPoint]
    default_block: int  # what the library takes unless a program says otherwise; −1 where the file does not say

    @property
    def best(self) -> BlockPoint:
        return max(self.points, key=lambda point: point.rate)

    @property
    def default(self) -> Optional[BlockPoint]:
        """The library's own default, where it was measured."""
        return next((point for point in self.points if point.block == self.default_block), None)

    @property
    def gain(self) -> Optional[Interval]:
        """Rate of the best / rate of the library's default."""
        default = self.default
        return None if default is None else mover_ratio(default.time, self.best.time)


def logical_block(case: pd.Series) -> int:
    """The block in effect, as the workload reports it, else as it was asked for; −1 when neither is a number."""
    found = (_block(source.get("logical_block")) for source in (case["results"], case["params"]))
    return next((block for block in found if block > 0), -1)


def _block(value: Any) -> int:
    """A positive number, also written as text; −1 for anything else."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    return int(value) if isinstance(value, (int, float)) and value > 0 else -1


def pdgemm_table(run: Run, stats: Dict[int, CaseStats], labels: Dict[int, str]) -> pd.DataFrame:
    """A row per product: settings, rate of all ranks, and the mean seconds of BLAS, packing and MPI."""
    rows = []
    for _, case in run.cases[run.cases["workload"] == "pdgemm"].iterrows():
        found = stats.get(int(case["id"]))
        if found is None or not found.time.count or not usable(case):
            continue
        bars = read_bars(run, case)
        parts: Dict[str, Any] = {}
        for name in ("blas", "pack", "mpi"):
            part = bars.part(name) if bars is not None else None
            parts[name] = part.median if part is not None else math.nan
        results, params, flops = case["results"], case["params"], float(case["flops"])
        rows.append(
            {
                "case": found.id,
                "launch": int(case["launch"]),
                "label": labels[found.id],
                "ranks": int(case["ranks"]),
                "grid": str(results.get("grid", params.get("grid", ""))),
                "mb": params.get("mb", math.nan),
                "nb": params.get("nb", math.nan),
                "logical_block": logical_block(case),
                "engine": str(case["engine"] or params.get("engine", "")),
                "median_s": found.time.median,
                "rate": flops / found.time.median,
                "rate_low": flops / found.time.high,
                "rate_high": flops / found.time.low,
                "step_s": bars.mean("own") if bars is not None else math.nan,
                "library_block_costs": results.get("library_block_costs", math.nan),
                "library_block_pairs": results.get("library_block_pairs", math.nan),
                **parts,
            }
        )
    return pd.DataFrame(rows, columns=PDGEMM_COLUMNS)


def block_sweeps(run: Run, stats: Dict[int, CaseStats], labels: Dict[int, str]) -> List[BlockSweep]:
    """Sweeps of two logical blocks or more; of cases with the same block in effect the first counts."""
    groups: Dict[str, List[pd.Series]] = {}
    for _, case in run.cases[run.cases["workload"] == "pdgemm"].iterrows():
        found = stats.get(int(case["id"]))
        if found is None or not found.time.count or not usable(case) or logical_block(case) < 0:
            continue
        names = ("launch", "variant", "device", "dtype", "placement", "threads", "ranks", "engine")
        params = {name: value for name, value in case["params"].items() if name != "logical_block"}
        key = json.dumps([*(str(case[name]) for name in names), params], sort_keys=True)
        groups.setdefault(key, []).append(case)
    sweeps = []
    for members in groups.values():
        points: Dict[int, BlockPoint] = {}
        for case in members:
            time, flops = stats[int(case["id"])].time, float(case["flops"])
            ends = [flops / end if end > 0 else math.nan for end in (time.high, time.low)]
            block = logical_block(case)
            points.setdefault(
                block, BlockPoint(block, int(case["id"]), flops / time.median, *ends, time)
            )
        if len(points) > 1:
            words = labels[int(members[0]["id"])].split()
            name = " ".join(word for word in words if not word.startswith("logical_block="))
            order = [points[block] for block in sorted(points)]
            default = max(_block(case["results"].get("library_logical_block")) for case in members)
            sweeps.append(BlockSweep(name, int(members[0]["ranks"]), order, default))
    return sweeps
