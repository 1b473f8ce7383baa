# SPDX-License-Identifier: BSD-3-Clause
"""Training, inference and convolutions of one run: what reports and tables show of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import numpy as np
import pandas as pd

from .casestats import CaseStats, verdict
from .epochs import Epochs, Study, read_epochs, studies
from .load import Run
from .samples import Samples
from .steps import Roofline, Stretches, find_roof, read_parts, read_roofline, roof_rates
from .units import NETS, convolution

PASSES = ("forward", "backward_data", "backward_weights")
NET_COLUMNS = [
    "case",
    "workload",
    "model",
    "batch",
    "dtype",
    "threads",
    "occupancy",
    "ranks",
    "ok",
    "why",
    "data",
    "synthetic",
    "unit",
    "rate",
    "low",
    "high",
    "least",
    "most",
    "half_width",
    "slowest_rate",
    "slowest_rank",
    "slowest_host",
    "median_s",
    "p99_s",
    "p99_samples",
    "repeats",
    "flop_rate",
    "of_fma",
    "fma_case",
    "library",
    "memory_peak_bytes",
]
CONV_COLUMNS = [
    "case",
    "launch",
    "series",
    "shape",
    "pass",
    "algorithm",
    "chosen",
    "dtype",
    "threads",
    "occupancy",
    "ok",
    "why",
    "median_s",
    "rate",
    "share",
    "roof",
]


@dataclass
class ConvSum:
    """Times of one series of convolutions added up, per pass."""

    series: str
    dtype: str
    occupancy: str
    algorithm: str
    threads: int
    launch: int
    passes: Dict[str, float]  # pass → sum of the cases' median times in seconds
    done: Dict[str, int]  # cases in the sum
    total: Dict[str, int]  # cases of the series

    @property
    def total_s(self) -> float:
        return sum(self.passes.values())


@dataclass
class Nets:
    """Everything of a run that has to do with networks; empty lists where it has nothing of the kind."""

    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=NET_COLUMNS))
    parts: List[Stretches] = field(default_factory=list)
    layers: List[Roofline] = field(default_factory=list)
    epochs: List[Epochs] = field(default_factory=list)
    studies: List[Study] = field(default_factory=list)
    conv: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CONV_COLUMNS))
    conv_sums: List[ConvSum] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(len(self.rows) or self.parts or self.layers or self.epochs or len(self.conv))


def look_at_nets(run: Run, stats: Dict[int, CaseStats], cases: pd.DataFrame) -> Nets:
    """Reads what summary.summarise() leaves out; `cases` is its table."""
    labels = cases.set_index("case")["label"]
    summary = cases.set_index("case")
    nets = Nets()
    tables: Dict[int, Epochs] = {}
    rows: List[Dict[str, Any]] = []
    conv: List[Dict[str, Any]] = []
    for _, case in run.cases.iterrows():
        number = int(case["id"])
        if case["workload"] == "conv2d":
            conv.append(_conv_row(run, stats, case, summary.loc[number]))
        found = stats.get(number)
        if found is None or not found.time.count:
            continue
        if case["workload"] in NETS:
            rows.append(_net_row(run, stats, case, summary.loc[number]))
        why = verdict(case)
        label = f"{labels[number]} ({why})" if why else labels[number]
        parts = read_parts(run.samples(number), label)
        # Rounds of a pairwise case are no layers: nothing is computed in them.
        layers = read_roofline(run, stats, case, label) if case["workload"] != "pairwise" else None
        epochs = read_epochs(run, case, label)
        nets.parts += [parts] if parts else []
        nets.layers += [layers] if layers else []
        if epochs:
            tables[number] = epochs
    nets.epochs = list(tables.values())
    nets.studies = studies(run, stats, tables)
    nets.rows = pd.DataFrame(rows, columns=NET_COLUMNS)
    nets.conv = pd.DataFrame(conv, columns=CONV_COLUMNS)
    nets.conv_sums = conv_sums(nets.conv)
    return nets


def _net_row(run: Run, stats: Dict[int, CaseStats], case: pd.Series, row: pd.Series) -> Dict[str, Any]:
    found, results = stats[int(case["id"])], case["results"]
    p99, count = (math.nan, 0)
    if case["workload"] == "infer":
        p99, count = high_quantile(run.samples(found.id), 0.99)
    data = str(results.get("data", case["params"].get("data", "")))
    why = verdict(case)
    values = {
        **{name: row[name] for name in NET_COLUMNS if name in row.index},
        "case": found.id,
        "model": str(case["params"].get("model", "?")),
        # The one in effect: with scaling = strong the key is not, a rank has its share of global_batch.
        "batch": results.get("batch", case["params"].get("batch", math.nan)),
        "ok": not why,
        "why": why,
        "data": data,
        "synthetic": bool(results.get("synthetic", data in ("synthetic", "random"))),
        "half_width": found.time.half_width,
        "slowest_rate": found.rate(float(row["slowest_s"])),
        "p99_s": p99,
        "p99_samples": count,
        "library": str(results.get("library", "")),
        "memory_peak_bytes": results.get("memory_peak_bytes", math.nan),
        **fma_share(run, stats, case),
    }
    return {name: values[name] for name in NET_COLUMNS}


def fma_share(run: Run, stats: Dict[int, CaseStats], case: pd.Series) -> Dict[str, Any]:
    """FLOP/s of the case per rank, and its share of the same rank's FMA roof: median over ranks."""
    found = stats.get(int(case["id"]))
    row: Dict[str, Any] = {"flop_rate": math.nan, "of_fma": math.nan, "fma_case": -1}
    if found is None or not found.time.count or not case["flops"] > 0:
        return row
    own = float(case["flops"]) / (len(found.ranks) if found.distributed else 1)
    row["flop_rate"] = own / found.time.median
    roof = find_roof(run, stats, case, "fma")
    if roof is not None:
        shares = own / found.rank_s / roof_rates(roof, found.ranks)
        if np.isfinite(shares).any():
            row.update({"of_fma": float(np.nanmedian(shares)), "fma_case": roof.id})
    return row


def high_quantile(samples: Samples, level: float) -> tuple:
    """This quantile of the measured samples of all ranks together, as one of them (nearest rank), and their number."""
    pieces = [samples.seconds(columns=columns, measured=True) for columns in samples.column_pieces()]
    values = np.concatenate([piece[np.isfinite(piece)] for piece in pieces]) if pieces else np.empty(0)
    if not values.size:
        return math.nan, 0
    place = max(0, math.ceil(level * values.size) - 1)
    return float(np.partition(values, place)[place]), int(values.size)


def _conv_row(run: Run, stats: Dict[int, CaseStats], case: pd.Series, row: pd.Series) -> Dict[str, Any]:
    """Share of the roof that binds; without named roofs that of the FMA roof."""
    share, roof = row["of_roof"], row["roof"]
    if not roof:
        own = fma_share(run, stats, case)
        share, roof = own["of_fma"], "fma" if own["fma_case"] >= 0 else ""
    why = verdict(case)
    good = not why
    return {
        **{name: case[name] for name in ("launch", "series", "dtype", "threads", "occupancy")},
        "case": int(case["id"]),
        "shape": convolution(case["params"]) or row["label"],
        "pass": str(case["params"].get("pass", "")),
        "algorithm": str(case["params"].get("algorithm", "")),
        "chosen": str(case["results"].get("algorithm", case["params"].get("algorithm", ""))),
        "ok": good,
        "why": why,
        "median_s": row["median_s"] if good else math.nan,
        "rate": row["rate"] if good else math.nan,
        "share": share if good else math.nan,
        "roof": roof,
    }


def conv_grid(conv: pd.DataFrame) -> pd.DataFrame:
    """One row per shape (and type, threads, occupancy, algorithm, series, launch) with the passes beside each other:
    columns rate_<pass>, share_<pass>, why_<pass>, case_<pass>, total_s, complete; in the order of the file. A shape that
    a series lists twice has two rows."""
    keys = ["launch", "series", "shape", "dtype", "threads", "occupancy", "algorithm"]
    if conv.empty:
        return pd.DataFrame(columns=keys)
    again = conv.groupby(keys + ["pass"], sort=False).cumcount()
    rows = []
    for key, group in conv.assign(again=again).groupby(keys + ["again"], sort=False):
        row: Dict[str, Any] = dict(zip(keys, key))
        for name, lines in group.groupby("pass"):
            line = lines.iloc[0]
            row.update(
                {f"{what}_{name}": line[what] for what in ("case", "why", "rate", "share", "chosen")}
            )
        row["total_s"] = float(group["median_s"].sum())
        row["complete"] = bool(group["median_s"].notna().all())
        rows.append(row)
    return pd.DataFrame(rows)


def conv_sums(conv: pd.DataFrame) -> List[ConvSum]:
    """Per series (and type, occupancy, algorithm, threads, launch) the times of one repetition of every case, added up
    per pass."""
    found = []
    keys = ["launch", "series", "dtype", "occupancy", "algorithm", "threads"]
    for key, group in conv[conv["series"] != ""].groupby(keys, sort=False):
        launch, series, dtype, occupancy, algorithm, threads = key
        by_pass = {name: lines for name, lines in group.groupby("pass")}
        order = [name for name in PASSES if name in by_pass] + [n for n in by_pass if n not in PASSES]
        found.append(
            ConvSum(
                str(series),
                str(dtype),
                str(occupancy),
                str(algorithm),
                int(threads),
                int(launch),
                {name: float(by_pass[name]["median_s"].sum()) for name in order},
                {name: int(by_pass[name]["median_s"].notna().sum()) for name in order},
                {name: len(by_pass[name]) for name in order},
            )
        )
    return found


def part_groups(parts: List[Stretches]) -> List[List[Stretches]]:
    """Cases that have the same parts, together: one table each. Products have a table of their own."""
    groups: Dict[tuple, List[Stretches]] = {}
    for entry in parts:
        if "blas" in entry.names:
            continue
        groups.setdefault(tuple(entry.names), []).append(entry)
    return list(groups.values())


def fma_note(rows: pd.DataFrame, cases: pd.DataFrame) -> List[Dict[str, Any]]:
    """The FMA roofs that shares are of: rows of `cases`, each once."""
    wanted: Optional[pd.Series] = rows.loc[rows["fma_case"] >= 0, "fma_case"]
    return [cases.loc[cases["case"] == number].iloc[0] for number in dict.fromkeys(wanted)]
