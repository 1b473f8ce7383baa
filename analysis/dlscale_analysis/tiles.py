# SPDX-License-Identifier: BSD-3-Clause
"""The headline numbers of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, List

import numpy as np
import pandas as pd

from .casestats import usable
from .places import oversubscribed
from .scale_notes import largest_losses
from .slow_remarks import nobody, sentence
from .units import MISSING, percent, plural, quantity, span

if TYPE_CHECKING:
    from .overview import Overview


@dataclass
class Tile:
    """One headline number."""

    title: str
    value: str
    detail: str = ""
    level: str = ""  # good | warn | bad | ""


def headline_tiles(view: Overview) -> List[Tile]:
    """Up to eight headline numbers, in the order a buyer reads them."""
    run, cases = view.run, view.cases
    latest = run.ranks[run.ranks["launch"] == run.ranks["launch"].max()] if len(run.ranks) else run.ranks
    threads = sorted(set(latest["threads"].astype(int))) if len(latest) else []
    per_rank = "1 thread" if threads == [1] else f"{'/'.join(map(str, threads))} threads"
    detail = f"on {plural(latest['host'].nunique(), 'node')}, {per_rank} per rank"
    tiles = [Tile("Size", plural(len(latest), "rank"), detail if len(latest) else "")]
    judged = cases[cases["check_passed"] >= 0]
    good = int((judged["check_passed"] == 1).sum())
    tiles.append(
        Tile(
            "Checks passed",
            f"{good} of {len(judged)}",
            "",
            "good" if good == len(judged) and good else "bad" if good < len(judged) else "",
        )
    )
    headlines = (
        ("GEMM", "gemm"),
        ("Training", "train"),
        ("Inference", "infer"),
        ("Memory bandwidth", "triad"),
    )
    for title, workload in headlines:
        tiles += [_rate_tile(view, title, row) for row in _headline(cases, workload)]
    tiles += _scaling_tiles(view)
    shared = cases[np.isfinite(cases["sharing"])]
    if len(shared):
        row = shared.loc[shared["sharing"].idxmin()]
        tiles.append(
            Tile(
                "Sharing, worst",
                f"{row['sharing']:.3f}",
                f"{row['label']}: rate together / alone "
                + span(row["sharing_low"], row["sharing_high"], 1.0, ""),
            )
        )
    noop = cases[(cases["workload"] == "noop") & (cases["why"] == "") & np.isfinite(cases["median_s"])]
    if len(noop):
        row = noop.iloc[0]
        tiles.append(
            Tile(
                "No-op (the harness)",
                quantity(row["median_s"], "s"),
                f"per {'repetition' if row['repeats'] > 1 else 'sample'}; slowest rank "
                f"{quantity(row['slowest_s'], 's')}",
            )
        )
    named = view.slow.named
    tiles.append(
        Tile(
            "Slow nodes and ranks",
            str(len(named)) if named or view.slow.tests else MISSING,
            sentence(named[0]) if named else nobody(view.slow),
            "warn" if named else "good" if view.slow.tests else "",
        )
    )
    return tiles


def _scaling_tiles(view: Overview) -> List[Tile]:
    """Efficiency at the most ranks with its two largest losses; the worst pair."""
    tiles = []
    for entry in view.scaling.headline[:2]:
        curve, last = entry.curve, entry.curve.last
        if last is curve.base or not np.isfinite(last.efficiency.median):
            continue
        lost = [largest_losses(ledger) for ledger in entry.ledgers if ledger.case == last.case]
        low, high = last.efficiency.low, last.efficiency.high
        ends = f"[{low:.3f}, {high:.3f}] " if np.isfinite(low) else ""
        tiles.append(
            Tile(
                f"Efficiency, {curve.workload} p = {last.p}"
                + (", oversubscribed" if curve.crowded else ""),
                f"{last.efficiency.median:.3f}",
                f"{ends}against {plural(curve.base.p, 'rank')}; {quantity(last.rate, curve.unit, 4)}"
                + "".join(f"; lost: {text}" for text in lost)
                + f"; {curve.name}",
            )
        )
    slow = [pairs for pairs in view.scaling.pairs if len(pairs.slow) or pairs.slow_ends]
    if slow:
        detail = (slow[0].slow_ends + slow[0].sentences)[0]
        count = sum(len(pairs.slow) for pairs in slow)
        tiles.append(Tile("Slow pairs", str(count), detail, "warn"))
    return tiles


def _headline(cases: pd.DataFrame, workload: str) -> List[pd.Series]:
    """For each dtype the completed case with the most work per time, all ranks at once where there is such a case."""
    rows = cases[(cases["workload"] == workload) & np.isfinite(cases["rate"])]
    rows = rows.loc[[index for index, row in rows.iterrows() if usable(row)]]
    for column, wanted in (("distributed", False), ("occupancy", "together")):
        if (rows[column] == wanted).any():
            rows = rows[rows[column] == wanted]
    return [group.loc[group["rate"].idxmax()] for _, group in rows.groupby("dtype")][:2]


def _rate_tile(view: Overview, title: str, row: pd.Series) -> Tile:
    """Rate per node: the sum of its ranks, when all work together; else per rank."""
    stats = view.stats[int(row["case"])]
    roof = f", {percent(row['of_roof'])} of {row['roof']}" if row["roof"] else ""
    whole = (
        row["occupancy"] == "together"
        and not stats.distributed
        and not oversubscribed(view.run).get(row["launch"])
    )
    title += " per node" if whole else " per rank"
    title += f", {row['dtype']}" if row["dtype"] else ""
    detail = row["label"]
    if whole:
        nodes = pd.Series(stats.work / stats.rank_s).groupby(stats.hosts).sum()
        return Tile(
            title,
            quantity(float(nodes.median()), row["unit"]),
            f"slowest {quantity(float(nodes.min()), row['unit'])} ({nodes.idxmin()}){roof}; {detail}",
        )
    return Tile(
        title,
        quantity(row["rate"], row["unit"]),
        f"slowest {quantity(stats.rate(row['slowest_s']), row['unit'])}{roof}; {detail}",
    )
