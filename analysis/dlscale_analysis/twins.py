# SPDX-License-Identifier: BSD-3-Clause
"""Cases that belong together: the same work done by ranks for themselves, or without communication."""

from __future__ import annotations

import math
from typing import Dict, Optional

import pandas as pd

from .casestats import CaseStats, is_distributed, usable
from .load import Run

# Keys that say how ranks work together, not on what.
STRATEGY = {"parallel", "overlap", "communicate", "bucket_bytes", "scaling", "check_replicas"}


def useful_work(case: pd.Series) -> float:
    """Images where they are counted, else FLOP; NaN for what has neither."""
    for name in ("items", "flops"):
        if float(case[name]) > 0:
            return float(case[name])
    return math.nan


def own_share(run: Run, stats: Dict[int, CaseStats], case: pd.Series, occupancy: str) -> Optional[int]:
    """The case in which ranks do by themselves what a participant of `case` does: same launch, workload, type, threads
    and keys but for those of data parallelism, and as many images per rank. "together" needs as many ranks per node
    at work; where one rank per node works, alone is together."""
    share = float(case["items"]) / max(1, int(case["ranks"]))
    if not share > 0:
        return None
    per_node = busiest_node(run, case)
    fitting = []
    for _, other in run.cases.iterrows():
        number = int(other["id"])
        if (
            is_distributed(other)
            or number not in stats
            or not stats[number].time.count
            or not usable(other)
            or any(
                other[name] != case[name]
                for name in ("launch", "workload", "variant", "device", "dtype", "threads")
            )
            or not math.isclose(float(other["items"]), share, rel_tol=1e-9)
            or not same_but_for(case, other, STRATEGY | {"batch", "global_batch", "occupancy"})
        ):
            continue
        at_once = 1 if other["occupancy"] == "alone" else busiest_node(run, other)
        if other["occupancy"] not in ("alone", "together", ""):
            at_once = int(other["occupancy"]) if str(other["occupancy"]).isdigit() else 0
        wanted = 1 if occupancy == "alone" else per_node
        if at_once == wanted:
            fitting.append((other["occupancy"] != occupancy, number))
    return min(fitting)[1] if fitting else None


def same_but_for(first: pd.Series, second: pd.Series, without: set) -> bool:
    """Equal keys but for those in `without`; a key that only one of them has differs."""

    def kept(case: pd.Series) -> dict:
        return {name: value for name, value in case["params"].items() if name not in without}

    return kept(first) == kept(second)


def busiest_node(run: Run, case: pd.Series) -> int:
    """The most participants on one host."""
    hosts = run.hosts(int(case["launch"]))
    counts: Dict[str, int] = {}
    for rank in run.samples(int(case["id"])).ranks:
        host = str(hosts.get(rank, "?"))
        counts[host] = counts.get(host, 0) + 1
    return max(counts.values(), default=0)


def without_communication(run: Run, stats: Dict[int, CaseStats], case: pd.Series) -> Optional[int]:
    """The twin of `case` that reduces nothing (communicate = false)."""
    for _, other in run.cases.iterrows():
        if (
            int(other["id"]) in stats
            and other["params"].get("communicate") is False
            and case["params"].get("communicate") is not False
            and usable(other)
            and all(
                other[name] == case[name]
                for name in ("launch", "workload", "variant", "device", "dtype", "threads", "ranks")
            )
            and other["placement"] == case["placement"]
            and math.isclose(useful_work(other), useful_work(case), rel_tol=1e-9)
            and same_but_for(case, other, STRATEGY)
        ):
            return int(other["id"])
    return None
