# SPDX-License-Identifier: BSD-3-Clause
"""The sections on scaling as rows of text: terminal and page show the same ones, the page with drawings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Callable, List, Set, Tuple

import numpy as np
import pandas as pd

from . import scale_notes as notes
from .ledger import TERMS
from .links import Pairs, bus_groups
from .overlap import Overlap
from .scaling import CurveView, Scaling, term_cells
from .units import MISSING, byte_count, percent, plural, quantity, span

MOST_RANKS = 6  # columns of collectives
LEFT = ("case", "overlap", "size", "slow pair")  # columns that are not numbers


@dataclass
class Section:
    """One table with what belongs to it."""

    kind: str  # curve | ledger | overlap | bus | pairs | pdgemm | sweep
    title: str
    detail: str = ""
    heads: List[str] = field(default_factory=list)
    rows: List[List[str]] = field(default_factory=list)
    bullets: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    subject: Any = None  # what a figure is drawn of

    @property
    def right(self) -> List[bool]:
        return [head not in LEFT for head in self.heads]


def sections(scaling: Scaling) -> List[Section]:
    """All of them, in the order they are read."""
    found: List[Section] = []
    for view in scaling.curves:
        found.append(curve_section(view))
        if view.ledgers or view.problems:
            found.append(ledger_section(view))
    found += [overlap_section(entry) for entry in scaling.overlaps]
    if len(scaling.pdgemm):
        found.append(pdgemm_section(scaling))
    if len(scaling.bus):
        found += [bus_section(name, rows) for name, rows in bus_groups(scaling.bus)]
    found += [pairs_section(pairs) for pairs in scaling.pairs]
    if scaling.crowded:
        for section in found:
            section.detail = ", ".join(text for text in (section.detail, "oversubscribed") if text)
    said: Set[str] = set()
    for section in found:  # what holds for all tables of a kind stands under the first
        section.notes = [text for text in section.notes if text not in said]
        said |= notes.GENERAL & set(section.notes)
    return found


def curve_section(view: CurveView) -> Section:
    curve = view.curve
    own = any(math.isfinite(point.independent.median) for point in curve.points)
    nodes = curve.last.nodes > 1
    columns: List[Tuple[str, Callable[[Any], str]]] = [("p", lambda point: str(point.p))]
    columns += [("nodes", lambda point: str(point.nodes))] if nodes else []
    columns += [
        ("time", lambda point: quantity(point.time.median, "s", 4)),
        ("rate", lambda point: quantity(point.rate, curve.unit, 4)),
        ("speed-up", lambda point: notes.ratio(point.speedup, 2)),
        ("E", lambda point: notes.efficiency_cell(point, curve)),
        ("interval", lambda point: notes.interval_text(point.efficiency)),
    ]
    columns += [("own", lambda point: notes.ratio(point.independent))] if own else []
    rows = [[cell(point) for _, cell in columns] for point in curve.points]
    return Section(
        "curve",
        f"Scaling: {curve.name}",
        "",
        [head for head, _ in columns],
        rows,
        [],
        notes.of_curve(curve),
        view,
    )


def ledger_section(view: CurveView) -> Section:
    rows = []
    for ledger in view.ledgers:
        cells = term_cells(ledger)
        shown = [notes.JOINED if cells[name] is None else _points(cells[name]) for name in TERMS]
        rows.append(
            [str(ledger.p), quantity(ledger.wall.median, "s"), _points(100 * ledger.efficiency), *shown]
        )
    bullets = [notes.closure_sentence(ledger) for ledger in view.ledgers if ledger.closure]
    return Section(
        "ledger",
        f"Where the efficiency went: {view.curve.name}",
        "",
        ["p", "time", "E", *notes.TERM_HEADS.values()],
        rows,
        bullets,
        notes.of_ledgers(view),
        view,
    )


def _points(value: Any) -> str:
    """One decimal, no "−0.0"."""
    return f"{round(value, 1) + 0.0:.1f}" if value is not None and math.isfinite(value) else MISSING


def overlap_section(entry: Overlap) -> Section:
    rows = []
    for row in entry.rows:
        rows.append(
            [
                str(row.case),
                row.overlap,
                quantity(row.time.median, "s", 4),
                quantity(row.exposed.median, "s"),
                span(row.exposed.low, row.exposed.high, row.exposed.median, "s"),
                notes.hidden_text(row.hidden),
                notes.signed_share(row.slowdown),
            ]
        )
    heads = ["#", "overlap", "step", "exposed", "interval", "hidden", "compute"]
    title = f"Overlap: {entry.name}"
    return Section("overlap", title, "", heads, rows, [], notes.of_overlap(entry), entry)


def bus_section(name: str, rows: pd.DataFrame) -> Section:
    """Sizes down, ranks across: time and busbw of each; of many ranks busbw alone."""
    ranks = sorted(set(rows["ranks"]))
    left_out, ranks = ranks[:-MOST_RANKS], ranks[-MOST_RANKS:]
    brief = len(ranks) > 3
    both = rows["mode"].nunique() > 1 or (rows["mode"] == "batched").any()
    table = []
    for size, group in rows.groupby("bytes", sort=True):
        for mode in sorted(set(group["mode"]), reverse=True):
            cells = [byte_count(size) + (" b" if mode == "batched" else "")]
            found = group[group["mode"] == mode].drop_duplicates("ranks").set_index("ranks")
            for p in ranks:
                known = p in found.index
                if not brief:
                    cells.append(quantity(found.loc[p, "median_s"], "s") if known else "")
                cells.append(quantity(found.loc[p, "busbw"], "B/s") if known else "")
            table.append(cells)
    heads = ["size"]
    for p in ranks:
        heads += [f"p={p}"] if brief else [f"p={p}", "busbw"]
    texts = [notes.BUS] + ([notes.BATCHED] if both else []) + [arrival_note(rows)]
    if left_out:
        texts.append(f"p = {', '.join(map(str, left_out))}: --csv.")
    texts = [text for text in texts if text]
    detail = "busbw" if brief else ""
    return Section(
        "bus", f"Collective: {name}", detail, heads, table, best_bus(rows) + roof_note(rows), texts, rows
    )


def best_bus(rows: pd.DataFrame) -> List[str]:
    """Per number of ranks the largest bus bandwidth, and where a larger message falls far below it."""
    texts = []
    for (ranks, mode), group in rows[np.isfinite(rows["busbw"])].groupby(["ranks", "mode"]):
        best = group.loc[group["busbw"].idxmax()]
        text = f"p = {ranks}, {mode}: at most {quantity(best['busbw'], 'B/s')} at {byte_count(best['bytes'])}"
        larger = group[group["bytes"] > best["bytes"]]
        if len(larger) and larger["busbw"].min() < 0.5 * best["busbw"]:
            low = larger.loc[larger["busbw"].idxmin()]
            text += (
                f"; {byte_count(low['bytes'])} has only {quantity(low['busbw'], 'B/s')} "
                f"({percent(low['busbw'] / best['busbw'])})"
            )
        texts.append(text)
    return texts


def arrival_note(rows: pd.DataFrame) -> str:
    """How much of isolated times is the ranks' arrival."""
    own = rows[(rows["mode"] == "isolated") & np.isfinite(rows["arrival_s"])]
    if own.empty:
        return ""
    shares = own["arrival_s"] / (own["arrival_s"] + own["transfer_s"])
    worst = own.loc[shares.idxmax()]
    return (
        f"Of isolated times, ranks that arrive one after the other take at most {percent(shares.max(), 1)} "
        f"({byte_count(worst['bytes'])}, p = {worst['ranks']})."
    )


def roof_note(rows: pd.DataFrame) -> List[str]:
    """Per number of ranks, what the largest message reaches of what pairs allow."""
    texts = []
    known = rows[np.isfinite(rows["roof_share"]) & (rows["mode"] == "isolated")]
    for ranks, group in known.groupby("ranks"):
        row = group.loc[group["bytes"].idxmax()]
        texts.append(
            f"p = {ranks}: {byte_count(row['bytes'])} at {percent(row['roof_share'])} of what the median pair allows: "
            f"{quantity(row['transfer_s'], 's')} after the last rank has come, least {quantity(row['roof_s'], 's')}"
        )
    return texts


def pairs_section(pairs: Pairs) -> Section:
    rows = [
        [
            f"{row.a} ({row.host_a}) – {row.b} ({row.host_b})",
            quantity(row.bandwidth, "B/s"),
            quantity(row.seconds, "s"),
            f"{100 * row.excess:+.0f} %",
        ]
        for row in pairs.slow.itertuples()
    ]
    bullets = [notes.pair_summary(pairs), *pairs.slow_ends]
    if not rows:
        bullets.append("no pair stands out")
    heads = ["slow pair", "bandwidth", "time", "against median"] if rows else []
    detail = f"{plural(len(pairs.table), 'pair')} of {plural(len(pairs.ranks), 'rank')}"
    title = f"Pairs: {pairs.label}"
    return Section("pairs", title, detail, heads, rows, bullets, notes.of_pairs(pairs), pairs)


def pdgemm_section(scaling: Scaling) -> Section:
    rows = []
    costs = scaling.pdgemm["library_block_costs"].notna().any()
    for row in scaling.pdgemm.itertuples():
        shares = [percent(getattr(row, name) / row.step_s, 1) for name in ("blas", "pack", "mpi")]
        block = str(row.logical_block) if row.logical_block > 0 else "?"
        words = [word for word in row.label.split()[1:] if not word.startswith("logical_block=")]
        name = " ".join(words).replace("scaling=", "")
        rate = quantity(row.rate, "FLOP/s", 4)
        cells = [str(row.case), name, block, quantity(row.median_s, "s"), rate, *shares]
        cost = row.library_block_costs
        rows.append(cells + ([f"{cost:.2f}" if cost == cost else ""] if costs else []))
    return Section(
        "pdgemm",
        "Distributed products",
        "",
        ["#", "case", "block", "time", "rate", "BLAS", "pack", "MPI"]
        + ([notes.LIBRARY_BLOCK] if costs else []),
        rows,
        [notes.of_sweep(sweep) for sweep in scaling.sweeps],
        [notes.of_products(scaling.pdgemm)],
        scaling,
    )
