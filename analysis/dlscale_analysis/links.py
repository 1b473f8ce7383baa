# SPDX-License-Identifier: BSD-3-Clause
"""The network by itself: bandwidth of collectives over message size, and of pairs of ranks, with the slow ones named."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Tuple

import numpy as np
import pandas as pd

from .bars import read_bars
from .casestats import CaseStats, usable
from .load import Run
from .stats import column_quantiles, scaled_mad
from .units import plural, quantity

BUS_COLUMNS = [
    "case",
    "launch",
    "op",
    "dtype",
    "in_place",
    "implementation",
    "ranks",
    "placement",
    "mode",
    "bytes",
    "median_s",
    "low_s",
    "high_s",
    "algbw",
    "busbw",
    "busbw_low",
    "busbw_high",
    "arrival_s",
    "transfer_s",
    "roof_s",
    "roof_share",
]
PAIR_COLUMNS = [
    "case",
    "a",
    "b",
    "host_a",
    "host_b",
    "same_node",
    "rounds",
    "seconds",
    "bandwidth",
    "excess",
    "slow",
]
LEAST_EFFECT, MADS = 0.03, 5.0  # a pair is slow beyond both, against pairs of its kind
SMALL = 1024  # B: up to it the time of a pair is latency
LARGE = 65536  # B: from it on the time of a pair is bandwidth
FEWEST = 4  # pairs of a kind, below which none can stand out


@dataclass
class Pairs:
    """One pairwise case."""

    case: int
    label: str
    bytes: float
    ranks: np.ndarray
    hosts: np.ndarray
    table: pd.DataFrame  # PAIR_COLUMNS, a row per pair that met
    idle: List[int] = field(default_factory=list)  # ranks that had no partner in some round
    slow_ends: List[str] = field(
        default_factory=list
    )  # sentences: ranks or hosts all of whose pairs are slow

    @property
    def farthest(self) -> pd.DataFrame:
        """Pairs between nodes; on one node all."""
        between = self.table[~self.table["same_node"].astype(bool)]
        return between if len(between) else self.table

    @property
    def slow(self) -> pd.DataFrame:
        return self.table[self.table["slow"]].sort_values("excess", ascending=False, kind="stable")

    @property
    def sentences(self) -> List[str]:
        return [
            f"pair {row.a} ({row.host_a}) – {row.b} ({row.host_b}): {quantity(row.bandwidth, 'B/s')} each way, "
            f"{100 * row.excess:+.0f} % in time against the median pair "
            f"{'inside a node' if row.same_node else 'between nodes'}"
            for row in self.slow.itertuples()
        ]


def bus_table(run: Run, stats: Dict[int, CaseStats], pairs: Sequence["Pairs"] = ()) -> pd.DataFrame:
    """A row per collective: algbw = bytes / t, busbw = bytes over the network per rank / t; of the wall time, how far
    apart the starts lie and the transfer after it; and the least time by what pairs of ranks reach."""
    rows = []
    for _, case in run.cases[run.cases["workload"] == "collective"].iterrows():
        found = stats.get(int(case["id"]))
        if found is None or not found.time.count or not usable(case):
            continue
        params, time = case["params"], found.time
        size = float(case["results"].get("message_bytes", params.get("bytes", math.nan)))
        bus = float(case["bytes_sent"]) / max(1, int(case["ranks"]))
        bars = read_bars(run, case)
        arrival = bars.mean("arrival") if bars is not None else math.nan
        transfer = bars.mean("wall") - arrival if bars is not None else math.nan
        roof = pair_roof(run, case, bus, pairs)
        rows.append(
            {
                "case": found.id,
                "launch": int(case["launch"]),
                "op": str(params.get("op", "")),
                "dtype": str(case["dtype"]),
                "in_place": bool(params.get("in_place", False)),
                "implementation": str(params.get("implementation", "")),
                "ranks": int(case["ranks"]),
                "placement": str(case["placement"]),
                "mode": str(case["mode"]),
                "bytes": size,
                "median_s": time.median,
                "low_s": time.low,
                "high_s": time.high,
                "algbw": size / time.median,
                "busbw": bus / time.median if bus > 0 else math.nan,
                "busbw_low": bus / time.high if bus > 0 else math.nan,
                "busbw_high": bus / time.low if bus > 0 else math.nan,
                "arrival_s": arrival,
                "transfer_s": transfer,
                "roof_s": roof,
                "roof_share": roof / transfer if transfer > 0 else math.nan,
            }
        )
    return pd.DataFrame(rows, columns=BUS_COLUMNS)


def pair_roof(run: Run, case: pd.Series, bus: float, pairs: Sequence["Pairs"]) -> float:
    """Bus bytes / bandwidth of the median pair + its latency, by pairs of the same ranks in the same launch: those between
    nodes where there are any. NaN without pairs of LARGE messages: what smaller ones reach is latency, no bandwidth."""
    same = ("launch", "ranks", "placement")
    known = [e for e in pairs if all(run.case(e.case)[name] == case[name] for name in same)]
    large = [entry for entry in known if entry.bytes >= LARGE]
    small = [entry for entry in known if entry.bytes <= SMALL]
    if not large or not bus > 0:
        return math.nan
    bandwidth = max(large, key=lambda entry: entry.bytes).farthest["bandwidth"].median()
    latency = min(small, key=lambda entry: entry.bytes).farthest["seconds"].median() if small else 0.0
    return bus / float(bandwidth) + float(latency)


def bus_groups(table: pd.DataFrame) -> List[Tuple[str, pd.DataFrame]]:
    """Rows that belong in one figure: an operation with its type and place; ranks and modes inside."""
    keys = ["launch", "op", "dtype", "in_place", "implementation", "placement"]
    groups = []
    for key, rows in table.groupby(keys, sort=False):
        words = [str(key[1]), str(key[2]), "in place" if key[3] else "out of place"]
        words += [str(key[4])] if table["implementation"].nunique() > 1 else []
        words += [str(key[5])] if table["placement"].nunique() > 1 else []
        words += [f"launch {key[0]}"] if table["launch"].nunique() > 1 else []
        groups.append((" ".join(words), rows.sort_values(["ranks", "mode", "bytes"], kind="stable")))
    return groups


def bus_lines(rows: pd.DataFrame) -> List[Tuple[int, str, pd.DataFrame]]:
    """(ranks, mode, points): isolated and batched times are never joined to one line."""
    known = rows[np.isfinite(rows["busbw"])]
    return [
        (int(ranks), str(mode), points.sort_values("bytes"))
        for (ranks, mode), points in known.groupby(["ranks", "mode"], sort=True)
    ]


def read_pairs(run: Run, stats: Dict[int, CaseStats], labels: Dict[int, str]) -> List[Pairs]:
    """Every pairwise case that says who met whom."""
    found = []
    for _, case in run.cases[run.cases["workload"] == "pairwise"].iterrows():
        if int(case["id"]) in stats and usable(case):
            pairs = _pairs(run, case, labels[int(case["id"])])
            if pairs is not None and len(pairs.table):
                found.append(pairs)
    return found


def _pairs(run: Run, case: pd.Series, label: str):  # type: ignore[no-untyped-def]
    samples = run.samples(int(case["id"]))
    partners = samples.partners()
    rounds = min(len(partners), len(samples.layer_names))
    if not rounds:
        return None
    size = float(case["params"].get("bytes", math.nan))
    hosts = run.hosts(int(case["launch"]))
    host = np.array([str(hosts.get(rank, "?")) for rank in samples.ranks], dtype=object)
    column = {int(rank): index for index, rank in enumerate(samples.ranks)}
    seconds = samples.seconds(measured=True)
    times = samples.layers()[:, :, :rounds] / samples.repeats[:, None, None]
    times = np.where(np.isfinite(seconds)[:, :, None], times, np.nan)
    met: Dict[Tuple[int, int], List[float]] = {}
    for number in range(rounds):
        there = np.array([column.get(int(partner), -1) for partner in partners[number]])
        # Who comes first waits for the other: the smaller of the two times is the exchange itself.
        both = np.minimum(times[:, :, number], times[:, there, number])
        medians = column_quantiles(both, (0.5,))[0]
        for index in np.flatnonzero((there >= 0) & np.isfinite(medians)):
            own, other = int(samples.ranks[index]), int(partners[number, index])
            if own < other:
                met.setdefault((own, other), []).append(float(medians[index]))
    rows = []
    for (a, b), times in sorted(met.items()):
        seconds = float(np.median(times))
        ends = str(host[column[a]]), str(host[column[b]])
        rows.append(
            (
                int(case["id"]),
                a,
                b,
                *ends,
                ends[0] == ends[1],
                len(times),
                seconds,
                size / seconds,
                math.nan,
                False,
            )
        )
    table = _judged(pd.DataFrame(rows, columns=PAIR_COLUMNS))
    idle = sorted({int(samples.ranks[i]) for i in np.flatnonzero((partners[:rounds] < 0).any(axis=0))})
    return Pairs(int(case["id"]), label, size, samples.ranks, host, table, idle, _slow_ends(table))


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Each pair against the median pair of its kind: inside a node, or between nodes."""
    for _, rows in table.groupby("same_node"):
        middle = float(rows["seconds"].median())
        bound = max(LEAST_EFFECT * middle, MADS * scaled_mad(rows["seconds"].to_numpy()))
        table.loc[rows.index, "excess"] = rows["seconds"] / middle - 1
        if len(rows) >= FEWEST:
            table.loc[rows.index, "slow"] = rows["seconds"] - middle > bound
    table["slow"] = table["slow"].astype(bool)
    return table


def _slow_ends(table: pd.DataFrame) -> List[str]:
    """Ranks, and hosts, all of whose pairs (two or more) are slow: the fault is theirs, not the links'."""
    texts = []
    for what, names in (("rank", ("a", "b")), ("host", ("host_a", "host_b"))):
        between = table if what == "rank" else table[~table["same_node"]]
        ends = pd.concat([between[[name, "slow"]].set_axis(["end", "slow"], axis=1) for name in names])
        for end, rows in ends.groupby("end"):
            if len(rows) > 1 and rows["slow"].all() and not table["slow"].all():
                texts.append(f"{what} {end}: all its {plural(len(rows), 'pair')} are slow")
    return texts
