# SPDX-License-Identifier: BSD-3-Clause
"""The page's figures that compare cases, ranks and nodes. Each function returns SVG text; empty with nothing to show."""

from __future__ import annotations

from typing import List

import numpy as np
import pandas as pd

from .casestats import CaseStats
from .overview import Overview
from .svg import Scale, Svg, finite_range, shortened, text_width
from .units import NETS, percent, quantity, scale_of, span

WIDTH = 1040
MANY_RANKS = 200  # beyond these: bands of quantiles instead of one dot per rank
WIDE = (*NETS, "conv2d")  # workloads whose cases have long names
NETWORK = ("collective", "pairwise")  # have figures of their own
NODE_LINES = 8  # clock drifts drawn one by one


def rate_bars(view: Overview, unit: str) -> str:
    """A bar per case: median over ranks, its interval, the slowest rank, the roof it is compared with."""
    rows = view.cases[(view.cases["unit"] == unit) & np.isfinite(view.cases["rate"])]
    rows = rows[~rows["distributed"].astype(bool)]  # those have curves of their own
    if rows.empty or unit == "s":
        return ""
    left = _label_room([f"{row.case}  {row.label}" for row in rows.itertuples()], rows["workload"])
    right, pitch, top = 300.0, 30, 8
    drawing = Svg(WIDTH, top + pitch * len(rows) + 42, f"Rate of each case in {unit}")
    largest = float(
        np.nanmax(np.concatenate([rows["rate"], rows["high"].fillna(0), rows["roof_rate"].fillna(0)]))
    )
    factor, name = scale_of(largest, unit)
    x = Scale(0, 1.03 * largest / factor, left, WIDTH - right)
    bottom = top + pitch * len(rows)
    drawing.x_axis(x, top, bottom, f"{name} per rank")
    for index, row in enumerate(rows.itertuples()):
        middle = top + pitch * (index + 0.5)
        drawing.text(left - 10, middle + 4, shortened(f"{row.case}  {row.label}", left - 10), "t", "end")
        _one_bar(drawing, row, x, middle, factor, view.stats[row.case])
        share = (
            f"{percent(row.of_roof)} of {row.roof}" if row.roof else "roof" if row.role == "roof" else ""
        )
        drawing.text(WIDTH - right + 10, middle + 4, quantity(row.rate, unit, 4), "t v")
        drawing.text(WIDTH - right + 128, middle + 4, share, "t dim")
    return drawing.render()


def _label_room(names: List[str], workloads: pd.Series) -> float:
    """Pixels at the left for these names."""
    most = 430.0 if workloads.isin(WIDE).any() else 300.0
    return min(most, 16 + max(text_width(name, 12.5) for name in names))


def _one_bar(
    drawing: Svg, row: object, x: Scale, middle: float, factor: float, stats: CaseStats
) -> None:
    tip = f"{row.label}: {quantity(row.rate, row.unit, 4)} {span(row.low, row.high, row.rate, row.unit)}"
    kind = "bar bad" if row.why else "bar roof" if row.role == "roof" else "bar"
    drawing.rect(x(0), middle - 8, x(row.rate / factor) - x(0), 16, kind, tip, 2)
    if np.isfinite(row.roof_rate):
        drawing.line(
            x(row.roof_rate / factor), middle - 12, x(row.roof_rate / factor), middle + 12, "roofline"
        )
    if np.isfinite(row.low):
        ends = x(row.low / factor), x(row.high / factor)
        drawing.line(ends[0], middle, ends[1], middle, "whisker")
        for end in ends:
            drawing.line(end, middle - 4, end, middle + 4, "whisker")
    if len(stats.ranks) > 1 and not stats.distributed:
        slowest = stats.rate(row.slowest_s) / factor
        drawing.dot(
            x(slowest), middle, 4, "slowest", f"slowest: rank {row.slowest_rank} ({row.slowest_host})"
        )


def deviations(stats: CaseStats) -> np.ndarray:
    """Each rank's median time over the median of all ranks, minus 1."""
    return stats.rank_s / np.nanmedian(stats.rank_s) - 1


def comparable(view: Overview) -> List[CaseStats]:
    """The cases in which ranks can be compared with each other by their own times."""
    left_out = set(view.cases.loc[view.cases["why"] != "", "case"])
    return [
        stats
        for stats in view.stats.values()
        if not stats.distributed
        and stats.kind != "time"
        and stats.id not in left_out
        and np.isfinite(stats.rank_s).sum() > 1
    ]


def rank_strips(view: Overview) -> str:
    """Per case, how ranks lie around the median rank: a dot each, or bands of quantiles for many ranks."""
    shown = comparable(view)
    if not shown:
        return ""
    labels = view.cases.set_index("case")["label"]
    workloads = view.cases.set_index("case")["workload"]
    left = _label_room(
        [f"{stats.id}  {labels[stats.id]}" for stats in shown], workloads[[stats.id for stats in shown]]
    )
    pitch, top = 34, 8
    bottom = top + pitch * len(shown)
    drawing = Svg(WIDTH, bottom + 42, "Ranks around the median rank, per case")
    everything = np.concatenate([100 * deviations(stats) for stats in shown])
    everything = everything[np.isfinite(everything)]
    reach = max(2.0, float(np.abs(everything).max()))
    x = Scale(
        max(-reach, min(-2.0, everything.min() * 1.1)), min(reach, 100.0) * 1.08, left, WIDTH - 150
    )
    drawing.x_axis(
        x, top, bottom, "time per repetition against the median rank (right = slower)", 7, " %"
    )
    drawing.line(x(0), top, x(0), bottom, "zero")
    for index, stats in enumerate(shown):
        middle = top + pitch * (index + 0.5)
        drawing.text(
            left - 10, middle + 4, shortened(f"{stats.id}  {labels[stats.id]}", left - 10), "t", "end"
        )
        _one_strip(drawing, view, stats, x, middle)
    return drawing.render()


def _one_strip(drawing: Svg, view: Overview, stats: CaseStats, x: Scale, middle: float) -> None:
    away = 100 * deviations(stats)
    named = np.isin(stats.ranks, view.slow.ranks_in(stats.id))
    known = np.isfinite(away)
    if known.sum() > MANY_RANKS and (known & ~named).any():
        for low, high, kind in ((0.001, 0.999, "q1"), (0.05, 0.95, "q2"), (0.25, 0.75, "q3")):
            ends = np.quantile(away[known & ~named], (low, high))
            drawing.rect(
                x.clamp(ends[0]),
                middle - 8,
                max(1.0, x.clamp(ends[1]) - x.clamp(ends[0])),
                16,
                f"band {kind}",
                f"{percent(high - low, 1)} of the ranks: {ends[0]:+.1f} % to {ends[1]:+.1f} %",
            )
        drawing.line(x(0), middle - 9, x(0), middle + 9, "median")
    else:
        offset = np.array([(-6, -2, 2, 6)[rank % 4] for rank in stats.ranks])
        plain = known & ~named
        drawing.dots([(x.clamp(a), middle + o) for a, o in zip(away[plain], offset[plain])], "dots rank")
    marked = np.flatnonzero(named & known)
    drawing.dots([(x.clamp(away[i]), middle) for i in marked[:2000]], "dots slowrank")
    if marked.size:
        worst = marked[np.argmax(away[marked])]
        drawing.text(
            x.clamp(away[worst]) + 8,
            middle + 4,
            f"rank {stats.ranks[worst]} ({stats.hosts[worst]})",
            "t warn",
        )


def noop_ranks(view: Overview, stats: CaseStats) -> str:
    """The harness's own cost of each rank, ranks along the x axis."""
    seconds = stats.rank_s
    known = np.flatnonzero(np.isfinite(seconds))
    if known.size < 2:
        return ""
    factor, name = scale_of(float(np.median(seconds[known])), "s")
    values = seconds[known] / factor
    far = values.max() > 10 * np.median(values)
    low, high = (values.min() / 2, values.max() * 2) if far else (0.0, 1.25 * values.max())
    drawing = Svg(WIDTH, 210, "No-op time of each rank")
    y = Scale(low, high, 160, 30, log=far)
    x = Scale(stats.ranks[known].min() - 0.5, stats.ranks[known].max() + 0.5, 66, WIDTH - 20)
    drawing.y_axis(y, 66, WIDTH - 20, name)
    ticks = [tick for tick in x.ticks(10) if tick == round(tick)]
    for tick in ticks:
        drawing.text(x(tick), 176, f"{tick:.0f}", "t n", "middle")
    drawing.text((66 + WIDTH - 20) / 2, 196, "rank", "t axis", "middle")
    named = np.isin(stats.ranks[known], view.slow.ranks_in(stats.id))
    thin = np.flatnonzero(~named)
    thin = thin[:: max(1, thin.size // 2000)]
    drawing.dots([(x(stats.ranks[known[i]]), y.clamp(values[i])) for i in thin], "dots rank")
    for i in np.flatnonzero(named)[:20]:
        drawing.dot(
            x(stats.ranks[known[i]]),
            y.clamp(values[i]),
            4,
            "slowest",
            f"rank {stats.ranks[known[i]]} ({stats.hosts[known[i]]}): {quantity(seconds[known[i]], 's')}",
        )
    return drawing.render()


def clock_drift(clocks: pd.DataFrame) -> str:
    """How each node's clock offset moved since its first measurement, with the error of each measurement."""
    nodes = [
        rows.sort_values("at_ns") for node, rows in clocks.groupby("node") if len(rows) > 1 and node != 0
    ]
    if not nodes:
        return ""
    start = int(clocks["at_ns"].min())
    moves = [(rows["offset_ns"] - rows["offset_ns"].iloc[0]).to_numpy() / 1e3 for rows in nodes]
    order = np.argsort([-np.abs(move).max() for move in moves])
    largest: List[int] = [int(i) for i in order[:NODE_LINES]]
    errors = np.concatenate([rows["error_ns"].to_numpy() / 1e3 for rows in nodes])
    low, high = finite_range(np.concatenate(moves + [errors, -errors]))
    drawing = Svg(WIDTH, 260, "Drift of the nodes' clocks")
    y = Scale(low, high, 205, 30)
    x = Scale(0, max(1e-9, (clocks["at_ns"].max() - start) / 1e9) * 1.02, 66, WIDTH - 110)
    drawing.y_axis(y, 66, WIDTH - 110, "µs")
    drawing.x_axis(x, 205, 205, "seconds since the first measurement")
    for i in order:
        points = [
            (x((at - start) / 1e9), y.clamp(move)) for at, move in zip(nodes[i]["at_ns"], moves[i])
        ]
        drawing.polyline(points, f"series s{largest.index(i) % 6}" if i in largest else "series faint")
        if i in largest:
            for (px, py), error in zip(points, nodes[i]["error_ns"] / 1e3):
                half = abs(y(0) - y(error))
                drawing.line(px, py - half, px, py + half, f"series thin s{largest.index(i) % 6}")
    _end_labels(
        drawing,
        [(y.clamp(moves[i][-1]), f"node {int(nodes[i]['node'].iloc[0])}") for i in largest],
        WIDTH - 102,
    )
    return drawing.render()


def _end_labels(drawing: Svg, labels: List[tuple], x: float, gap: float = 14.0) -> None:
    """Labels at the ends of lines, pushed apart so that none overlap."""
    last = -1e9
    for at, text in sorted(labels):
        last = max(at + 4, last + gap)
        drawing.text(x, last, text, "t")
