# SPDX-License-Identifier: BSD-3-Clause
"""Everything of one run that has to do with scaling: what reports and tables show of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import numpy as np
import pandas as pd

from .bars import Bars, read_bars
from .casestats import CaseStats, is_distributed, usable
from .efficiency import Curve, curves
from .ledger import TERMS, Ledger, read_ledgers
from .links import BUS_COLUMNS, Pairs, bus_table, read_pairs
from .load import Run
from .overlap import Overlap, overlaps
from .places import oversubscribed
from .sweeps import PDGEMM_COLUMNS, BlockSweep, block_sweeps, pdgemm_table

MOST_PARTS = 12  # cases whose parts are shown rank by rank


@dataclass
class CurveView:
    """A curve with the ledgers of its points."""

    curve: Curve
    ledgers: List[Ledger]
    problems: List[str]  # why points have none


@dataclass
class RankParts:
    """The parts of a distributed case's repetitions, rank by rank."""

    case: int
    label: str
    bars: Bars


@dataclass
class Scaling:
    """Empty lists and tables where the run has nothing of the kind."""

    curves: List[CurveView] = field(default_factory=list)
    overlaps: List[Overlap] = field(default_factory=list)
    bus: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=BUS_COLUMNS))
    pairs: List[Pairs] = field(default_factory=list)
    pdgemm: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PDGEMM_COLUMNS))
    sweeps: List[BlockSweep] = field(default_factory=list)
    rank_parts: List[RankParts] = field(default_factory=list)
    crowded: bool = False  # ranks of some launch fight for processors

    def __bool__(self) -> bool:
        return bool(
            self.curves
            or self.overlaps
            or len(self.bus)
            or self.pairs
            or len(self.pdgemm)
            or self.rank_parts
        )

    @property
    def ledgers(self) -> List[Ledger]:
        return [ledger for view in self.curves for ledger in view.ledgers]

    @property
    def headline(self) -> List[CurveView]:
        """Per workload the curve to name first: of those that reach the most ranks the most efficient one; trainings
        before products."""
        best: Dict[str, CurveView] = {}
        for view in self.curves:
            if np.isfinite(view.curve.last.efficiency.median):
                other = best.get(view.curve.workload)
                if other is None or _reach(view) > _reach(other):
                    best[view.curve.workload] = view
        return sorted(best.values(), key=lambda view: view.curve.workload != "train")


def _reach(view: CurveView) -> Tuple[int, float]:
    last = view.curve.last
    return last.p, last.efficiency.median


def look_at_scaling(run: Run, stats: Dict[int, CaseStats], cases: pd.DataFrame) -> Scaling:
    """Reads what summary.summarise() leaves out; `cases` is its table."""
    if not any(is_distributed(case) for _, case in run.cases.iterrows()):
        return Scaling()
    labels = {int(case): str(label) for case, label in zip(cases["case"], cases["label"])}
    views = [CurveView(curve, *read_ledgers(run, stats, curve, labels)) for curve in curves(run, stats)]
    pairs = read_pairs(run, stats, labels)
    return Scaling(
        views,
        overlaps(run, stats, labels),
        bus_table(run, stats, pairs),
        pairs,
        pdgemm_table(run, stats, labels),
        block_sweeps(run, stats, labels),
        _rank_parts(run, stats, views, labels),
        any(oversubscribed(run).values()),
    )


def _rank_parts(
    run: Run, stats: Dict[int, CaseStats], views: List[CurveView], labels: Dict[int, str]
) -> List[RankParts]:
    """Of each curve the case with the most ranks; without curves the distributed cases that have parts."""
    wanted = {view.curve.last.case for view in views}
    found: List[RankParts] = []
    for _, case in run.cases.iterrows():
        number = int(case["id"])
        if (
            not (number in wanted if wanted else number in stats and is_distributed(case))
            or int(case["ranks"]) < 2
            or not usable(case)
            or not run.samples(number).part_names
            or len(found) == MOST_PARTS
        ):
            continue
        bars = read_bars(run, case)
        if bars is not None and np.isfinite(bars.rank_parts_s).all():
            found.append(RankParts(number, labels[number], bars))
    return found


def ledger_frame(view: CurveView) -> pd.DataFrame:
    """A row per point and term: seconds, points of efficiency, interval of the seconds."""
    rows = []
    for ledger in view.ledgers:
        for term in ledger.terms:
            rows.append(
                {
                    "curve": view.curve.name,
                    "case": ledger.case,
                    "p": ledger.p,
                    "baseline": ledger.base_case,
                    "wall_s": ledger.wall.median,
                    "ideal_s": ledger.ideal.median,
                    "efficiency": ledger.efficiency,
                    "term": "+".join(term.names),
                    "loss_s": term.loss.median,
                    "loss_low_s": term.loss.low,
                    "loss_high_s": term.loss.high,
                    "points": ledger.points(term),
                    "samples": ledger.samples,
                    "closure_case": ledger.closure.case if ledger.closure else -1,
                    "closure_gap_s": ledger.closure.gap.median if ledger.closure else np.nan,
                }
            )
    return pd.DataFrame(rows)


def term_cells(ledger: Ledger) -> Dict[str, Optional[float]]:
    """Points of each of TERMS; None where the value is in the next column that has one."""
    cells: Dict[str, Optional[float]] = {name: None for name in TERMS}
    for term in ledger.terms:
        cells[term.names[-1]] = ledger.points(term)
    return cells
