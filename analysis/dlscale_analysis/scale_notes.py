# SPDX-License-Identifier: BSD-3-Clause
"""Sentences about scaling that terminal and page show alike: denominators, what ± is, what is joined."""

from __future__ import annotations

import math
from typing import Dict, List

import pandas as pd

from .efficiency import Curve, Point
from .ledger import Closure, Ledger
from .links import FEWEST, Pairs
from .overlap import Overlap
from .scaling import CurveView
from .stats import Interval
from .sweeps import BlockSweep
from .units import MISSING, digits, percent, plural, quantity

CROWDED = (
    "Ranks share processors: these numbers say how the program behaves, not how the machine scales."
)
CURVE = (
    "E = T_b·(w_p/w_b)·(b/p)/T_p: time T of the slowest rank, work w over all ranks, b ranks in the baseline; [ ] from "
    "block medians, by MOVER on logarithms. All points share the baseline's time: its error moves them together."
)
OWN = "own: rate per rank against ranks that do the same share by themselves at the same time (parallel = none)."
LEDGER = (
    "Points of efficiency lost, 100·loss/T; they and E add up to 100 exactly. Means over ranks and over the "
    "samples that all ranks have: E differs a little from the curve's, which is made of medians."
)
GAINS = "Negative terms are gains."
TERM_HEADS: Dict[str, str] = {
    "granularity": "gran.",
    "sharing": "shar.",
    "interference": "interf.",
    "waiting": "wait",
    "communication": "comm.",
    "skew": "skew",
}
LIBRARY_BLOCK = "lib. block"  # column of products: what the library's own block costs
JOINED = "→"  # the value is in the next column that has one


def interval_text(value: Interval, factor: float = 1.0, places: int = 3) -> str:
    """ "[0.912, 0.934]", or the spread of fewer than six blocks "0.912…0.934"; empty by definition."""
    if value.valid:
        return f"[{factor * value.low:.{places}f}, {factor * value.high:.{places}f}]"
    if value.count and math.isfinite(value.min):
        return f"{factor * value.min:.{places}f}…{factor * value.max:.{places}f}"
    return ""


def ratio(value: Interval, places: int = 3) -> str:
    return f"{value.median:.{places}f}" if math.isfinite(value.median) else MISSING


def of_curve(curve: Curve) -> List[str]:
    """Under the table of a curve."""
    texts = [f"Baseline: {curve.base_text}.", CURVE]
    if any(math.isfinite(point.independent.median) for point in curve.points):
        texts.append(OWN)
    texts += [CROWDED] if curve.crowded else []
    return texts + [note[0].upper() + note[1:] + "." for note in curve.notes]


def efficiency_cell(point: Point, curve: Curve) -> str:
    if point is curve.base:
        return "1 (base)"
    return ratio(point.efficiency) if not point.why else MISSING


def of_ledgers(view: CurveView) -> List[str]:
    """Under the table of ledgers: each note once, with the ranks it is about."""
    texts = [LEDGER]
    if any(len(term.names) > 1 for ledger in view.ledgers for term in ledger.terms):
        texts.append(f"{JOINED}: not to be told apart, in the next column.")
    if any(ledger.points(term) < -0.05 for ledger in view.ledgers for term in ledger.terms):
        texts.append(GAINS)
    by_note: Dict[str, List[int]] = {}
    for ledger in view.ledgers:
        for note in ledger.notes:
            by_note.setdefault(note, []).append(ledger.p)
    for note, ranks in by_note.items():
        where = "" if len(ranks) == len(view.ledgers) else f"p = {', '.join(map(str, ranks))}: "
        texts.append((where + note if where else note[0].upper() + note[1:]) + ".")
    return texts + [problem[0].upper() + problem[1:] + "." for problem in view.problems]


def closure_sentence(ledger: Ledger) -> str:
    """The proof by the run without communication, in numbers."""
    closure = ledger.closure
    assert closure is not None
    verdict = {True: "holds", False: "does not hold", None: "has no interval"}[closure.holds]
    wall = ledger.wall.median
    return (
        f"p = {ledger.p}: closure {verdict}. T − T without communication (case {closure.case}) is "
        f"{100 * closure.expected.median / wall:.1f} points, interference + waiting + communication + skew are "
        f"{100 * closure.found.median / wall:.1f}; gap {100 * closure.gap.median / wall:+.1f} {_ends(closure, wall)}"
    ).rstrip()


def _ends(closure: Closure, wall: float) -> str:
    return interval_text(closure.gap, 100 / wall, 1)


def largest_losses(ledger: Ledger, count: int = 2) -> str:
    """ "waiting 3.1, sharing 2.0 points": the largest positive ones."""
    found = [term for term in ledger.largest[:count] if term.loss.median > 0]
    listed = ", ".join(f"{term.title} {ledger.points(term):.1f}" for term in found)
    return f"{listed} points" if listed else "none"


def of_overlap(entry: Overlap) -> List[str]:
    texts = []
    if entry.without_case >= 0:
        texts.append(
            f"exposed: T − T without communication (case {entry.without_case}, "
            f"{quantity(entry.without.median, 's', 4)}); compute: local time of the step / that of the step "
            "without communication − 1."
        )
    if entry.alone_text:
        texts.append(f"hidden: 1 − exposed / communication alone: {entry.alone_text}, taken as exact.")
    return texts + [note[0].upper() + note[1:] + "." for note in entry.notes]


BUS = (
    "busbw = bytes over the network per rank / t (all-reduce: 2(p−1)/p · size / t), to be compared with the "
    "hardware's bandwidth; algbw = size / t; t of the slowest rank of each sample."
)
BATCHED = (
    "b: batched, several executions in one sample, so without the skew of the ranks' arrival; never joined "
    "with isolated ones."
)


PAIRS = (
    "Bandwidth each way while all pairs of a round exchange; the smaller of the two ranks' times, in which neither waits "
    "for the other, median over samples. Slow: beyond 3 % and five scaled MADs of the pairs of its kind (inside a node, between nodes), of "
    f"which there must be {FEWEST}."
)
GENERAL = {CROWDED, CURVE, OWN, LEDGER, GAINS, BUS, BATCHED, PAIRS}  # said once


def of_pairs(pairs: Pairs) -> List[str]:
    table = pairs.table
    texts = [PAIRS]
    if pairs.idle:
        texts.append(f"{plural(len(pairs.idle), 'rank')} without a partner in some round.")
    possible = len(pairs.ranks) * (len(pairs.ranks) - 1) // 2
    if len(table) < possible:
        texts.append(f"{len(table):,} of {possible:,} pairs met.")
    return texts


def pair_summary(pairs: Pairs) -> str:
    parts = []
    for same, rows in pairs.table.groupby("same_node", sort=False):
        worst = rows.loc[rows["bandwidth"].idxmin()]
        parts.append(
            f"{'inside a node' if same else 'between nodes'}: median {quantity(rows['bandwidth'].median(), 'B/s')}"
            f", slowest {quantity(worst['bandwidth'], 'B/s')} ({worst['a']}–{worst['b']})"
        )
    return "; ".join(parts)


def of_sweep(sweep: BlockSweep) -> str:
    """What the library's own default costs."""
    best, default, gain = sweep.best, sweep.default, sweep.gain
    text = f"best: {best.block}, {quantity(best.rate, 'FLOP/s', 4)} on {plural(sweep.ranks, 'rank')}"
    if sweep.default_block < 0:
        return f"{text}; the file does not tell the library's default"
    if default is None or gain is None:
        return f"{text}; the library's default ({sweep.default_block}) was not measured"
    if default is best:
        return f"{text}: the library's default"
    ends = f" [{gain.low:.2f}, {gain.high:.2f}]" if gain.valid else ""
    return f"{text}, {gain.median:.2f}{ends} × the library's default ({default.block})"


PRODUCTS = (
    "rate: of all ranks together; block: the library's logical block; shares of the mean time: inside BLAS, the "
    "library's other local work, inside MPI."
)


def of_products(table: pd.DataFrame) -> str:
    """Under the table of products; the last sentence where the library's own block was tried."""
    tried = table[table["library_block_costs"].notna()]
    if tried.empty:
        return PRODUCTS
    pairs = tried["library_block_pairs"]
    count = "a few pairs"
    if pairs.notna().all():
        least, most = int(pairs.min()), int(pairs.max())
        count = plural(most, "pair") if least == most else f"{least} to {plural(most, 'pair')}"
    return (
        f"{PRODUCTS} {LIBRARY_BLOCK}: time with the library's own block / time with the block shown, the shortest of "
        f"{count} after the check."
    )


def signed_share(value: Interval) -> str:
    return f"{100 * (value.median - 1):+.1f} %" if math.isfinite(value.median) else MISSING


def hidden_text(share: float) -> str:
    return percent(share) if math.isfinite(share) else MISSING


def number(value: float) -> str:
    return digits(value) if math.isfinite(value) else MISSING
