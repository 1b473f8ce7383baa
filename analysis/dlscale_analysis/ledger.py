# SPDX-License-Identifier: BSD-3-Clause
"""Where the efficiency went: the loss ledger of one point of a scaling curve.

Over identical samples, as means over ranks and samples: T wall, d own duration, M blocked in communication, W of it until
the last rank arrived, X = M − W, U = d − M, A own share alone, B own share together without communication, g ideal.

    1 − E = [(A − g) + (B − A) + (U − B) + W + X + (T − d)] / T        E = g / T

docs/metrics.md derives it. A term that can't be measured is joined with its neighbour, and said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import numpy as np
import pandas as pd

from .bars import Bars, local_time, read_bars
from .casestats import CaseStats
from .efficiency import Curve, Point
from .load import Run
from .stats import EMPTY, Interval, mover_difference, scaled
from .twins import own_share, without_communication
from .units import percent, quantity

TERMS: Dict[str, str] = {
    "granularity": "granularity",
    "sharing": "sharing",
    "interference": "interference",
    "waiting": "waiting",
    "communication": "exposed communication",
    "skew": "skew",
}
SUM_ERROR = 1e-9  # of T: what rounding may leave of the sum of the terms
IMBALANCE = 0.01  # of T, from which a persistent imbalance, or waiting, is worth a sentence
OFTEN = 0.5  # of the samples, from which the rank that arrives last is named
CLOSE = 1e-3  # of T: a gap below this is none, whatever the intervals


class LedgerError(Exception):
    """A ledger whose terms do not add up."""


@dataclass
class Term:
    """One loss, or several that could not be told apart. `loss.median` holds the mean; negative is a gain."""

    names: Tuple[str, ...]  # keys of TERMS
    loss: Interval  # seconds per repetition

    @property
    def title(self) -> str:
        return " + ".join(TERMS[name] for name in self.names)


@dataclass
class Closure:
    """The proof by a run without communication."""

    case: int  # that run
    expected: Interval  # T − T without communication, seconds
    found: Interval  # (U − B) + W + X + (T − d)
    gap: Interval  # found − expected
    near_s: float  # a gap that is none

    @property
    def holds(self) -> Optional[bool]:
        """None with fewer than six blocks."""
        if not self.gap.valid:
            return None
        return bool(self.gap.low <= self.near_s and self.gap.high >= -self.near_s)


@dataclass
class Ledger:
    """The ledger of one case."""

    case: int
    label: str
    p: int
    base_case: int
    wall: Interval  # T
    ideal: Interval  # g
    own_s: float  # d
    blocked_s: float  # M
    terms: List[Term]
    samples: int
    together_case: int = -1  # B
    part_of: Dict[str, float] = field(default_factory=dict)  # seconds known to be inside a joined term
    imbalance_s: float = math.nan  # largest U of a rank − U
    imbalance_rank: int = -1
    imbalance_host: str = ""
    closure: Optional[Closure] = None
    notes: List[str] = field(default_factory=list)

    @property
    def efficiency(self) -> float:
        return self.ideal.median / self.wall.median

    def points(self, term: Term) -> float:
        """Points of efficiency that this term costs."""
        return 100 * term.loss.median / self.wall.median

    @property
    def largest(self) -> List[Term]:
        return sorted(self.terms, key=lambda term: -term.loss.median)

    def term(self, name: str) -> Optional[Term]:
        """The term that holds this one."""
        return next((term for term in self.terms if name in term.names), None)


def check_sum(ledger: Ledger) -> None:
    """The terms must add up to 1 − E; NaN fails."""
    total = sum(term.loss.median for term in ledger.terms) / ledger.wall.median
    error = abs(total - (1 - ledger.efficiency))
    if not error <= SUM_ERROR:
        raise LedgerError(
            f"the ledger of case {ledger.case} does not add up (its terms give {100 * total:.6g} points, "
            f"1 − E is {100 * (1 - ledger.efficiency):.6g}): its samples and parts contradict each other"
        )


def read_ledgers(
    run: Run, stats: Dict[int, CaseStats], curve: Curve, labels: Dict[int, str]
) -> Tuple[List[Ledger], List[str]]:
    """A ledger for every point but the baseline, and why points have none."""
    found, problems = [], []
    base = read_bars(run, run.case(curve.base.case))
    if base is None:
        return [], [f"{curve.name}: no sample of the baseline has all its ranks"]
    for point in curve.points:
        if point.again or point.why or point.p <= curve.base.p:
            continue
        try:
            found.append(read_ledger(run, stats, point, curve.base, base, labels))
        except LedgerError as error:
            problems.append(str(error))
    return found, problems


def read_ledger(
    run: Run,
    stats: Dict[int, CaseStats],
    point: Point,
    base_point: Point,
    base: Bars,
    labels: Dict[int, str],
) -> Ledger:
    case = run.case(point.case)
    bars = read_bars(run, case)
    if bars is None or not bars.has("blocked"):
        raise LedgerError(
            f"case {point.case} has no ledger (no sample with all ranks and their time in communication)"
        )
    ideal = scaled(base.of("wall"), point.work / base_point.work * base_point.p / point.p)
    ledger = Ledger(
        point.case,
        labels.get(point.case, ""),
        point.p,
        base_point.case,
        bars.of("wall"),
        ideal,
        bars.mean("own"),
        bars.mean("blocked"),
        [],
        bars.count,
        notes=list(bars.notes),
    )
    if base_point.p > 1:
        ledger.notes.append(
            f"the baseline of {base_point.p} ranks has losses of its own: granularity is against it"
        )
    together = _local_terms(run, stats, point, bars, ledger)
    _communication_terms(bars, ledger)
    wall, own = bars.values["wall"], bars.values["own"]
    ledger.terms.append(Term(("skew",), bars.interval(wall - own)))
    check_sum(ledger)
    _imbalance(bars, ledger)
    _close(run, stats, case, ledger, together)
    return ledger


def _local_terms(
    run: Run, stats: Dict[int, CaseStats], point: Point, bars: Bars, ledger: Ledger
) -> Interval:
    """g → A → B → U: what is known makes a term each, what is not is joined. Returns B."""
    case = run.case(point.case)
    alone = together = EMPTY
    if bars.part("blas") is not None:
        # BLAS on the own share while the others work at theirs; what else is local is the library's work.
        together = bars.part("blas") or EMPTY
        ledger.notes.append(
            "granularity and sharing: the BLAS calls' time beyond the ideal; interference: the library's own "
            "work, such as packing"
        )
    else:
        first = own_share(run, stats, case, "alone")
        if first is not None:
            alone = local_time(run, first, bars.ranks)
        second = (
            point.independent_case
            if point.independent_case >= 0
            else without_communication(run, stats, case)
        )
        if second is not None:
            together, ledger.together_case = local_time(run, second, bars.ranks), second
    local = bars.interval(bars.values["own"] - bars.values["blocked"])
    joined: List[str] = []
    before = ledger.ideal
    for name, level in (("granularity", alone), ("sharing", together), ("interference", local)):
        joined.append(name)
        if math.isfinite(level.median):
            ledger.terms.append(Term(tuple(joined), mover_difference(level, before)))
            joined, before = [], level
    missing = []
    if not math.isfinite(alone.median) and bars.part("blas") is None:
        missing.append("the own share alone")
    if not math.isfinite(together.median):
        missing.append("the own share together without communication")
    if missing:
        ledger.notes.append(f"not measured: {' and '.join(missing)}; the terms it separates are joined")
    return together


def _communication_terms(bars: Bars, ledger: Ledger) -> None:
    """M = W + X where the file tells when ranks arrived."""
    blocked = bars.values["blocked"]
    if bars.has("waiting"):
        waiting = bars.values["waiting"]
        ledger.terms.append(Term(("waiting",), bars.interval(waiting)))
        ledger.terms.append(Term(("communication",), bars.interval(blocked - waiting)))
        if bars.clock_error_s > 0:
            ledger.notes.append(f"waiting and skew are known to ± {quantity(bars.clock_error_s, 's')}")
        return
    ledger.terms.append(Term(("waiting", "communication"), bars.interval(blocked)))
    # What the rank that is blocked least is blocked for bounds the transfer of all.
    least = float((blocked - bars.values["least_blocked"]).mean())
    ledger.part_of["waiting"] = least
    ledger.notes.append(
        "waiting and transfer can't be told apart inside the library; by the rank that is blocked least, "
        f"{percent(least / ledger.wall.median, 1)} of the time or more is waiting"
    )


def _imbalance(bars: Bars, ledger: Ledger) -> None:
    """Persistent imbalance: the rank that works longest against the mean."""
    local = bars.rank_s["own"] - bars.rank_s["blocked"]
    worst = int(np.argmax(local))
    ledger.imbalance_s = float(local[worst] - local.mean())
    waiting = ledger.term("waiting")
    often = int(np.argmax(np.nan_to_num(bars.last)))
    if (
        waiting is not None
        and waiting.loss.median > IMBALANCE * ledger.wall.median
        and bars.last[often] > OFTEN
    ):
        ledger.notes.append(
            f"rank {bars.ranks[often]} ({bars.hosts[often]}) is the last to arrive in {percent(bars.last[often])} "
            "of the samples"
        )
    ledger.imbalance_rank, ledger.imbalance_host = int(bars.ranks[worst]), str(bars.hosts[worst])
    if ledger.imbalance_s > IMBALANCE * ledger.wall.median:
        share = percent(ledger.imbalance_s / ledger.wall.median, 1)
        ledger.notes.append(
            f"persistent imbalance: rank {ledger.imbalance_rank} ({ledger.imbalance_host}) works "
            f"{quantity(ledger.imbalance_s, 's')} longer than the mean rank ({share} of the time)"
        )


def _close(
    run: Run, stats: Dict[int, CaseStats], case: pd.Series, ledger: Ledger, together: Interval
) -> None:
    """T − T without communication against the terms that communication is to blame for. The run without communication
    counts with its ranks' own durations: nothing makes them wait for each other, so what is waiting in the run with
    communication would be missing from the difference of two wall times."""
    twin = without_communication(run, stats, case)
    if twin is None or not math.isfinite(together.median):
        return
    if twin == ledger.together_case:
        ledger.notes.append(
            f"no closure check: case {twin} without communication already serves as the own share together "
            "(add the same training with parallel = none)"
        )
        return
    other = read_bars(run, run.case(twin))
    if other is None:
        return
    own = other.of("own")
    ledger.closure = Closure(
        twin,
        mover_difference(ledger.wall, own),
        mover_difference(ledger.wall, together),
        mover_difference(own, together),
        CLOSE * ledger.wall.median,
    )
