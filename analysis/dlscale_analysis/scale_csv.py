# SPDX-License-Identifier: BSD-3-Clause
"""The tables of scaling for --csv: columns that are always there, and the rows of one run in pieces."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Tuple

import numpy as np
import pandas as pd

from .links import BUS_COLUMNS, PAIR_COLUMNS
from .scaling import ledger_frame
from .sweeps import PDGEMM_COLUMNS

CURVE_COLUMNS = [
    "curve",
    "scaling",
    "placement",
    "launch",
    "case",
    "p",
    "nodes",
    "baseline",
    "work",
    "unit",
    "median_s",
    "low_s",
    "high_s",
    "rate",
    "speedup",
    "efficiency",
    "efficiency_low",
    "efficiency_high",
    "independent",
    "independent_low",
    "independent_high",
    "independent_case",
    "again",
    "oversubscribed",
    "why",
]
LEDGER_COLUMNS = [
    "curve",
    "case",
    "p",
    "baseline",
    "wall_s",
    "ideal_s",
    "efficiency",
    "term",
    "loss_s",
    "loss_low_s",
    "loss_high_s",
    "points",
    "samples",
    "closure_case",
    "closure_gap_s",
]
OVERLAP_COLUMNS = [
    "case",
    "name",
    "p",
    "overlap",
    "step_s",
    "without_case",
    "without_s",
    "alone_s",
    "exposed_s",
    "exposed_low_s",
    "exposed_high_s",
    "hidden",
    "hidden_low",
    "hidden_high",
    "slowdown",
]
RANK_COLUMNS = ["case", "label", "rank", "host", "own_s", "blocked_s", "waiting_s", "local_s"]


def _curves(view: Any) -> Iterator[pd.DataFrame]:
    for entry in view.scaling.curves:
        curve = entry.curve
        rows = [
            (
                *(curve.name, curve.scaling, curve.placement, curve.launch, point.case, point.p),
                *(point.nodes, curve.base.case, point.work, curve.unit.split("/")[0]),
                *(point.time.median, point.time.low, point.time.high, point.rate),
                point.speedup.median,
                *(point.efficiency.median, point.efficiency.low, point.efficiency.high),
                *(point.independent.median, point.independent.low, point.independent.high),
                *(point.independent_case, point.again, curve.crowded, point.why),
            )
            for point in curve.points
        ]
        yield pd.DataFrame(rows, columns=CURVE_COLUMNS)


def _ledgers(view: Any) -> Iterator[pd.DataFrame]:
    for entry in view.scaling.curves:
        if entry.ledgers:
            yield ledger_frame(entry)


def _ranks(view: Any) -> Iterator[pd.DataFrame]:
    """Means of each rank in the cases whose parts are drawn rank by rank."""
    for entry in view.scaling.rank_parts:
        own, blocked = entry.bars.rank_s["own"], entry.bars.rank_s["blocked"]
        yield pd.DataFrame(
            {
                "case": entry.case,
                "label": entry.label,
                "rank": entry.bars.ranks,
                "host": entry.bars.hosts,
                "own_s": own,
                "blocked_s": blocked,
                "waiting_s": entry.bars.rank_s["waiting"],
                "local_s": own - blocked,
            }
        )


def _overlaps(view: Any) -> Iterator[pd.DataFrame]:
    for entry in view.scaling.overlaps:
        rows = [
            (
                *(row.case, entry.name, entry.p, row.overlap, row.time.median, entry.without_case),
                *(entry.without.median, entry.alone_s),
                *(row.exposed.median, row.exposed.low, row.exposed.high),
                *(row.hidden, row.hidden_low, row.hidden_high),
                row.slowdown.median - 1 if np.isfinite(row.slowdown.median) else np.nan,
            )
            for row in entry.rows
        ]
        yield pd.DataFrame(rows, columns=OVERLAP_COLUMNS)


def _bus(view: Any) -> Iterator[pd.DataFrame]:
    if len(view.scaling.bus):
        yield view.scaling.bus


def _pairs(view: Any) -> Iterator[pd.DataFrame]:
    for entry in view.scaling.pairs:
        yield entry.table


def _pdgemm(view: Any) -> Iterator[pd.DataFrame]:
    if len(view.scaling.pdgemm):
        yield view.scaling.pdgemm


SCALING: Dict[str, Tuple[List[str], Callable[[Any], Iterator[pd.DataFrame]]]] = {
    "efficiency.csv": (CURVE_COLUMNS, _curves),
    "ledger.csv": (LEDGER_COLUMNS, _ledgers),
    "ledger_ranks.csv": (RANK_COLUMNS, _ranks),
    "overlap.csv": (OVERLAP_COLUMNS, _overlaps),
    "collectives.csv": (BUS_COLUMNS, _bus),
    "pairs.csv": (PAIR_COLUMNS, _pairs),
    "pdgemm.csv": (PDGEMM_COLUMNS, _pdgemm),
}
