# SPDX-License-Identifier: BSD-3-Clause
"""The page's figures of scaling. Each function returns SVG text; empty with nothing to show."""

from __future__ import annotations

import math
from typing import List, Tuple

import numpy as np
import pandas as pd

from .efficiency import Curve, Point
from .ledger import TERMS
from .links import Pairs, bus_lines
from .net_figures import log_ticks
from .scaling import CurveView, RankParts
from .stats import Interval
from .svg import Scale, Svg, shortened, text_width
from .sweeps import BlockSweep
from .units import byte_count, percent, quantity, scale_of

WIDTH = 1040
COLOURS = 6
LINES = COLOURS  # in one figure of collectives
RANKS = 32  # drawn one by one; of more the slowest and the fastest halves
MATRIX = 48  # ranks, or hosts, along an edge of the map of pairs
PANELS = ((66.0, 490.0), (600.0, 1020.0))


def curve_figure(curve: Curve) -> str:
    """Left: rate over ranks with the ideal line; right: efficiency with its intervals. Points that were measured again
    are hollow."""
    known = [point for point in curve.points if math.isfinite(point.efficiency.median)]
    if len(known) < 2:
        return ""
    drawing = Svg(WIDTH, 290, f"Scaling of {curve.name}")
    base = curve.base
    least, most = min(point.p for point in known), max(point.p for point in known)
    factor, name = scale_of(max(point.rate for point in known), curve.unit)
    ideal = base.rate / base.p
    left = Scale(least / 1.15, most * 1.15, *PANELS[0], log=True)
    reached = [end for point in known for end in (point.rate, *point.rate_ends) if math.isfinite(end)]
    low, high = min(ideal * least, *reached) / factor / 1.3, max(ideal * most, *reached) / factor * 1.3
    y = Scale(low, high, 236, 34, log=True)
    _rank_axis(drawing, left, known, 236, 34)
    for tick in log_ticks(low, high):
        drawing.line(left.first, y(tick), left.last, y(tick), "grid")
        drawing.text(left.first - 6, y(tick) + 3.5, f"{tick:,g}", "t n", "end")
    drawing.text(left.first, 18, f"{name}, all ranks", "t head")
    ends = [(p, ideal * p / factor) for p in (least, most)]
    drawing.polyline([(left(p), y(rate)) for p, rate in ends], "ideal")
    line = [point for point in known if not point.again]
    drawing.polyline([(left(point.p), y(point.rate / factor)) for point in line], "series s0")
    for point in known:
        _whisker(drawing, left(point.p), [y(end / factor) for end in point.rate_ends])
        tip = f"p = {point.p}: {quantity(point.rate, curve.unit, 4)} (case {point.case})"
        kind = "hollow" if point.again else "piece f0"
        drawing.dot(left(point.p), y(point.rate / factor), 4, kind, tip)
    _efficiency_panel(drawing, curve, known, Scale(least / 1.15, most * 1.15, *PANELS[1], log=True))
    return drawing.render()


def _efficiency_panel(drawing: Svg, curve: Curve, known: List[Point], x: Scale) -> None:
    values = [end for point in known for end in _ends(point.efficiency)]
    values += [end for point in known for end in _ends(point.independent)]
    low = min(0.8, *values) - 0.03
    y = Scale(max(0.0, low), max(1.05, *values), 236, 34)
    _rank_axis(drawing, x, known, 236, 34)
    drawing.y_axis(y, x.first, x.last, "")
    drawing.text(x.first, 18, "efficiency", "t head")
    drawing.line(x.first, y(1), x.last, y(1), "ideal")
    own = [point for point in known if math.isfinite(point.independent.median)]
    _lines(drawing, x, y, [(point, point.independent) for point in own], 1)
    _lines(drawing, x, y, [(point, point.efficiency) for point in known], 0)


def _lines(drawing: Svg, x: Scale, y: Scale, pairs: List[Tuple[Point, Interval]], colour: int) -> None:
    shift = 5 * colour  # so that whiskers don't cover each other
    line = [(x(point.p) + shift, y(value.median)) for point, value in pairs if not point.again]
    drawing.polyline(line, f"series s{colour}")
    for point, value in pairs:
        at = x(point.p) + shift
        _whisker(drawing, at, [y(end) for end in (value.low, value.high)])
        kind = "hollow" if point.again else f"piece f{colour}"
        drawing.dot(at, y(value.median), 4, kind, f"p = {point.p}: {value.median:.3f}")


def _ends(value: Interval) -> List[float]:
    return [end for end in (value.low, value.median, value.high) if math.isfinite(end)]


def _whisker(drawing: Svg, x: float, ends: List[float]) -> None:
    if all(math.isfinite(end) for end in ends) and abs(ends[0] - ends[1]) > 0.2:
        drawing.line(x, ends[0], x, ends[1], "whisker")
        for end in ends:
            drawing.line(x - 4, end, x + 4, end, "whisker")


def _rank_axis(drawing: Svg, x: Scale, points: List[Point], bottom: float, top: float) -> None:
    last = -1e9
    for p in sorted({point.p for point in points}):
        drawing.line(x(p), top, x(p), bottom, "grid")
        if x(p) - last > 26:
            drawing.text(x(p), bottom + 15, str(p), "t n", "middle")
            last = x(p)
    drawing.text((x.first + x.last) / 2, bottom + 34, "ranks", "t axis", "middle")


def ledger_bars(view: CurveView) -> str:
    """A bar per point, from E's loss: every term one after the other, gains to the left of zero."""
    if not view.ledgers:
        return ""
    left, right, pitch, top = 150.0, 110.0, 34, 8
    bottom = top + pitch * len(view.ledgers)
    drawing = Svg(WIDTH, bottom + 42, f"Ledger of {view.curve.name}")
    points = [[ledger.points(term) for term in ledger.terms] for ledger in view.ledgers]
    gained = min(-0.1, *(sum(min(0.0, value) for value in row) for row in points))
    lost = max(1.0, *(sum(max(0.0, value) for value in row) for row in points))
    x = Scale(1.04 * gained if gained < -0.1 else 0.0, 1.04 * lost, left, WIDTH - right)
    drawing.x_axis(x, top, bottom, "points of efficiency lost")
    for index, ledger in enumerate(view.ledgers):
        middle = top + pitch * (index + 0.5)
        text = f"p = {ledger.p}, E {percent(ledger.efficiency, 1)}"
        drawing.text(left - 10, middle + 4, text, "t", "end")
        ends = [0.0, 0.0]  # of the gains, of the losses
        for term in ledger.terms:
            value = ledger.points(term)
            at = ends[value > 0]
            ends[value > 0] += value
            first, last = sorted((x(at), x(at + value)))
            kind = f"f{list(TERMS).index(term.names[0])}"
            tip = f"{term.title}: {value:.2f} points, {quantity(term.loss.median, 's')}"
            if last - first > 0.3:
                drawing.rect(first, middle - 10, last - first, 20, f"part {kind}", tip)
            if last - first > 30:
                where = (first + last) / 2
                drawing.text(where, middle + 4, f"{value:.1f}", f"t on {kind}", "middle")
        drawing.text(WIDTH - right + 10, middle + 4, quantity(ledger.wall.median, "s"), "t v")
    drawing.line(x(0), top, x(0), bottom, "zero")
    return drawing.render()


def bus_figure(rows: pd.DataFrame) -> str:
    """Bus bandwidth over message size, a line per number of ranks; isolated and batched times are separate lines."""
    lines = bus_lines(rows)
    ranks = sorted({p for p, _, _ in lines})[-LINES:]
    lines = [line for line in lines if line[0] in ranks]
    if not lines:
        return ""
    every = pd.concat([points for _, _, points in lines])
    factor, name = scale_of(float(every["busbw"].max()), "B/s")
    drawing = Svg(WIDTH, 300, "Bus bandwidth over message size")
    x = Scale(every["bytes"].min() / 1.5, every["bytes"].max() * 1.5, 66, WIDTH - 90, log=True)
    y = Scale(0, 1.08 * float(every["busbw_high"].fillna(every["busbw"]).max()) / factor, 240, 34)
    drawing.y_axis(y, x.first, x.last, "")
    drawing.text(x.first, 18, f"busbw, {name}", "t head")
    last = -1e9
    for size in sorted(set(every["bytes"])):
        if x(size) - last > 58:
            drawing.line(x(size), 34, x(size), 240, "grid")
            drawing.text(x(size), 256, byte_count(size), "t n", "middle")
            last = x(size)
    drawing.text((x.first + x.last) / 2, 276, "message size", "t axis", "middle")
    labels = []
    for p, mode, points in lines:
        colour = ranks.index(p) % COLOURS
        batched = " dashed" if mode == "batched" else ""
        at = [(x(row.bytes), y(row.busbw / factor)) for row in points.itertuples()]
        drawing.polyline(at, f"series s{colour}{batched}")
        for (px, py), row in zip(at, points.itertuples()):
            ends = [y(end / factor) for end in (row.busbw_low, row.busbw_high)]
            _whisker(drawing, px, ends)
            tip = f"p = {p}, {byte_count(row.bytes)}: {quantity(row.busbw, 'B/s')}, {mode} (case {row.case})"
            drawing.dot(px, py, 3, "hollow" if batched else f"piece f{colour}", tip)
        if mode == "isolated" or not any(q == p and m == "isolated" for q, m, _ in lines):
            labels.append((at[-1][1], f"p = {p}"))
    low = -1e9
    for height, text in sorted(labels):
        low = max(height + 4, low + 14)
        drawing.text(x.last + 8, low, text, "t")
    return drawing.render()


def pair_map(pairs: Pairs) -> str:
    """Bandwidth of every pair; of many ranks that of their hosts (the slowest pair of two hosts). Colours: the bandwidth
    over the median of pairs of the same kind."""
    ranks = len(pairs.ranks) <= MATRIX
    table = pairs.table
    names = [str(rank) for rank in pairs.ranks] if ranks else sorted(set(pairs.hosts))[:MATRIX]
    ends = ("a", "b") if ranks else ("host_a", "host_b")
    place = {name: index for index, name in enumerate(names)}
    if len(names) < 2:
        return ""
    left = 16 + max(text_width(name, 11.5) for name in names)
    size = min(34.0, (620.0 - left) / len(names))
    drawing = Svg(left + size * len(names) + 20, 30 + size * len(names) + 12, "Bandwidth of pairs")
    for name, index in place.items():
        middle = 30 + size * (index + 0.5)
        if len(names) <= 32 or index % 4 == 0:
            drawing.text(left - 6, middle + 4, name, "t n", "end")
            if ranks:
                drawing.text(left + size * (index + 0.5), 24, name, "t n", "middle")
    worst = table.sort_values("excess", ascending=False, kind="stable").drop_duplicates(list(ends))
    for row in worst.itertuples():
        one, two = (str(getattr(row, end)) for end in ends)
        if one not in place or two not in place:
            continue
        tip = (
            f"{row.a} ({row.host_a}) – {row.b} ({row.host_b}): {quantity(row.bandwidth, 'B/s')}, "
            f"{100 * row.excess:+.0f} % in time"
        )
        for across, down in ((one, two), (two, one)):
            drawing.rect(
                left + size * place[across] + 0.5,
                30 + size * place[down] + 0.5,
                size - 1,
                size - 1,
                f"cell {shade(row.excess)}" + (" marked" if row.slow else ""),
                tip,
                2,
            )
    return drawing.render()


def shade(excess: float) -> str:
    """Class of a pair: slower in three steps, faster in two, else usual."""
    if not math.isfinite(excess):
        return "usual"
    slower = sum(excess >= limit for limit in (0.03, 0.10, 0.30))
    faster = sum(excess <= -limit for limit in (0.03, 0.10))
    return f"slow{slower}" if slower else f"fast{faster}" if faster else "usual"


def block_figure(sweep: BlockSweep) -> str:
    """Rate over the logical block."""
    factor, name = scale_of(sweep.best.rate, "FLOP/s")
    drawing = Svg(WIDTH / 2 + 60, 236, f"Logical block of {sweep.name}")
    blocks = [point.block for point in sweep.points]
    x = Scale(min(blocks) / 1.3, max(blocks) * 1.3, 66, 540, log=True)
    least = min(point.rate for point in sweep.points)
    low = max(0.0, 2 * least - sweep.best.rate)  # the sweep fills the upper half
    y = Scale(low / factor, (1.06 * sweep.best.rate - 0.06 * low) / factor, 182, 34)
    drawing.y_axis(y, 66, 540, "")
    drawing.text(66, 18, f"{name}, all ranks", "t head")
    drawing.polyline([(x(p.block), y(p.rate / factor)) for p in sweep.points], "series s0")
    for point in sweep.points:
        _whisker(drawing, x(point.block), [y(end / factor) for end in (point.low, point.high)])
        tip = f"block {point.block}: {quantity(point.rate, 'FLOP/s', 4)} (case {point.case})"
        drawing.dot(x(point.block), y(point.rate / factor), 4, "piece f0", tip)
        drawing.text(x(point.block), 198, str(point.block), "t n", "middle")
    drawing.text(303, 217, "logical block", "t axis", "middle")
    return drawing.render()


def rank_bars(entry: RankParts) -> str:
    """Parts of the mean repetition, a bar per rank; of many ranks those that work longest and shortest."""
    bars = entry.bars
    local = bars.rank_s["own"] - np.nan_to_num(bars.rank_s["blocked"])
    order = np.arange(local.size)
    if local.size > RANKS:
        ranked = np.argsort(-local, kind="stable")
        order = np.concatenate([ranked[: RANKS // 2], ranked[-RANKS // 2 :]])
    left, right, pitch, top = 150.0, 96.0, 24, 8
    bottom = top + pitch * len(order)
    drawing = Svg(WIDTH, bottom + 42, f"Parts of each rank, {entry.label}")
    factor, unit = scale_of(float(bars.rank_s["own"].max()), "s")
    x = Scale(0, 1.02 * float(bars.rank_s["own"].max()) / factor, left, WIDTH - right)
    drawing.x_axis(x, top, bottom, f"mean {unit} of a repetition")
    for line, index in enumerate(order):
        middle = top + pitch * (line + 0.5)
        name = shortened(f"{bars.ranks[index]} ({bars.hosts[index]})", left - 10)
        drawing.text(left - 10, middle + 4, name, "t", "end")
        at = 0.0
        rest = max(0.0, bars.rank_s["own"][index] - bars.rank_parts_s[:, index].sum())
        seconds = [*bars.rank_parts_s[:, index], rest]
        kinds = [f"f{i % COLOURS}" for i in range(len(bars.part_names))] + ["rest"]
        for name, length, kind in zip([*bars.part_names, "rest"], seconds, kinds):
            if length > 0:
                share = percent(length / bars.rank_s["own"][index], 1)
                tip = f"rank {bars.ranks[index]}, {name}: {quantity(length, 's')}, {share}"
                wide = x((at + length) / factor) - x(at / factor)
                drawing.rect(x(at / factor), middle - 8, wide, 16, f"part {kind}", tip)
            at += length
        drawing.text(WIDTH - right + 10, middle + 4, quantity(bars.rank_s["own"][index], "s"), "t v")
    return drawing.render()
