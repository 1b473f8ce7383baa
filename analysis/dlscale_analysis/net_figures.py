# SPDX-License-Identifier: BSD-3-Clause
"""The page's figures of training and inference. Each function returns SVG text; empty with nothing to show."""

from __future__ import annotations

import math
from typing import List, Tuple

import numpy as np

from .epochs import Epochs
from .steps import Roofline, Stretches
from .svg import Scale, Svg, finite_range, shortened, text_width
from .units import percent, quantity

WIDTH = 1040
COLOURS = 6
LINES = COLOURS  # cases drawn in the figure of epochs
LABELS = 16  # pieces that get a name in the roofline
KINDS = ("forward", "backward data", "backward weights")  # of pieces, by the end of their name


def part_bars(group: List[Stretches]) -> str:
    """A bar per case: the parts of the mean step one after the other, the rest in grey, on a common scale of shares."""
    left = min(430.0, 16 + max(text_width(f"{entry.case}  {entry.label}", 12.5) for entry in group))
    right, pitch, top = 96.0, 30, 8
    bottom = top + pitch * len(group)
    drawing = Svg(WIDTH, bottom + 42, "Parts of a step, per case")
    most = max(1.0, max(float(entry.mean_s.sum()) / entry.step_s for entry in group))
    x = Scale(0, 100 * most, left, WIDTH - right)
    drawing.x_axis(x, top, bottom, "share of the mean step", 6, " %")
    for index, entry in enumerate(group):
        middle = top + pitch * (index + 0.5)
        drawing.text(
            left - 10, middle + 4, shortened(f"{entry.case}  {entry.label}", left - 10), "t", "end"
        )
        at = 0.0
        rest = max(0.0, entry.rest_s)
        kinds = [f"f{i % COLOURS}" for i in range(len(entry.names))] + ["rest"]
        for name, seconds, kind in zip([*entry.names, "rest"], [*entry.mean_s, rest], kinds):
            width = 100 * seconds / entry.step_s
            if width > 0:
                tip = f"{name}: {quantity(seconds, 's')}, {percent(width / 100, 1)}"
                drawing.rect(x(at), middle - 9, x(at + width) - x(at), 18, f"part {kind}", tip)
            if x(at + width) - x(at) > 44:
                drawing.text(
                    (x(at) + x(at + width)) / 2,
                    middle + 4,
                    percent(width / 100),
                    f"t on {kind}",
                    "middle",
                )
            at += width
        drawing.text(WIDTH - right + 10, middle + 4, quantity(entry.step_s, "s"), "t v")
    return drawing.render()


def piece_kind(name: str) -> int:
    """Index into KINDS by the end of a piece's name; their number for anything else."""
    for index, kind in enumerate(KINDS):
        if name.endswith(kind):
            return index
    return 1 if name.endswith("backward") else len(KINDS)


def roofline_plot(roofline: Roofline) -> str:
    """Pieces with counted FLOP on logarithmic axes, arithmetic intensity against GFLOP/s, under the roofs that were
    measured. The area of a dot is its share of the step."""
    rows = roofline.table[np.isfinite(roofline.table["intensity"]) & (roofline.table["flop_rate"] > 0)]
    if rows.empty:
        return ""
    ridge = roofline.fma_rate / roofline.triad_rate
    across = [*rows["intensity"], *([ridge] if math.isfinite(ridge) else [])]
    upward = [*(rows["flop_rate"] / 1e9), *([roofline.fma_rate / 1e9] if roofline.fma_case >= 0 else [])]
    drawing = Svg(WIDTH, 420, f"Roofline of {roofline.label}")
    x = Scale(min(across) / 2, max(across) * 3, 66, WIDTH - 20, log=True)
    y = Scale(min(upward) / 2, max(upward) * 2.5, 362, 34, log=True)
    _log_axes(drawing, x, y)
    taken = _roofs(drawing, roofline, x, y)
    longest = rows.sort_values("mean_s", ascending=False, kind="stable")
    placed = []
    for row in longest.itertuples():
        radius = max(3.5, 13 * math.sqrt(row.share / longest["share"].iloc[0]))
        at = (x(row.intensity), y(row.flop_rate / 1e9))
        tip = (
            f"{row.piece}: {quantity(row.flop_rate, 'FLOP/s')}, {row.intensity:.3g} FLOP/B, "
            f"{percent(row.share, 1)} of the step" + _reached(row)
        )
        drawing.dot(*at, radius, f"piece f{(0, 1, 2, 3)[piece_kind(row.piece)]}", tip)
        placed.append((at, radius, row.piece))
        taken.append((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius))
    for at, radius, name in placed[:LABELS]:
        _label(drawing, taken, at, radius, name)
    return drawing.render()


def _reached(row: object) -> str:
    return f", {percent(row.of_bound)} of its {row.bound} bound" if row.bound else ""  # type: ignore[attr-defined]


def log_ticks(low: float, high: float) -> List[float]:
    """Powers of ten; with 2 and 5 between them where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    return [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]


def _log_axes(drawing: Svg, x: Scale, y: Scale) -> None:
    for tick in log_ticks(x.low, x.high):
        drawing.line(x(tick), y.last, x(tick), y.first, "grid")
        drawing.text(x(tick), y.first + 15, f"{tick:,g}", "t n", "middle")
    for tick in log_ticks(y.low, y.high):
        drawing.line(x.first, y(tick), x.last, y(tick), "grid")
        drawing.text(x.first - 6, y(tick) + 3.5, f"{tick:,g}", "t n", "end")
    middle = (x.first + x.last) / 2
    drawing.text(middle, y.first + 34, "arithmetic intensity, FLOP per byte", "t axis", "middle")
    drawing.text(x.first, y.last - 16, "GFLOP/s", "t axis", "middle")


Box = Tuple[float, float, float, float]  # left, top, right, bottom


def _roofs(drawing: Svg, roofline: Roofline, x: Scale, y: Scale) -> List[Box]:
    """The memory's slope and the FMA's ceiling, each as far as it binds, with their names."""
    boxes: List[Box] = []
    peak, slope = roofline.fma_rate / 1e9, roofline.triad_rate / 1e9
    ridge = peak / slope
    if roofline.fma_case >= 0:
        first = max(x.low, ridge) if math.isfinite(ridge) else x.low
        drawing.line(x(first), y(peak), x.last, y(peak), "roofline")
        name = f"fma {roofline.fma_dtype} {quantity(1e9 * peak, 'FLOP/s')}"
        drawing.text(x.last - 4, y(peak) - 7, name, "t roofname", "end")
        boxes.append((x.last - 4 - text_width(name), y(peak) - 20, x.last, y(peak) + 2))
    if roofline.triad_case >= 0:
        last = min(x.high, ridge) if math.isfinite(ridge) else x.high
        first = max(x.low, y.low / slope)
        if last > first:
            drawing.line(x(first), y(first * slope), x(last), y.clamp(last * slope), "roofline")
            boxes += _along(x, y, first, last, slope)
            name = f"triad {quantity(1e9 * slope, 'B/s')}"
            wide = text_width(name)
            at = math.sqrt(first * last)
            left, base = x(at) - 12 - wide, y(at * slope) - 8
            if left < x.first + 4:  # too short a slope: in the free corner above it
                left, base = x.first + 6, y.clamp(last * slope) - 14
            drawing.text(left, base, name, "t roofname")
            boxes.append((left, base - 12, left + wide, base + 4))
    return boxes


def _along(x: Scale, y: Scale, first: float, last: float, slope: float) -> List[Box]:
    """Small boxes on a slanted roof, so that names keep off it."""
    steps = np.geomspace(first, last, 40)
    return [(x(v) - 4, y.clamp(v * slope) - 4, x(v) + 4, y.clamp(v * slope) + 4) for v in steps]


def _label(drawing: Svg, taken: List[Box], at: Tuple[float, float], radius: float, name: str) -> None:
    """The piece's name beside its dot where nothing else is; no name where there is no such place."""
    wide, high = text_width(name, 11.0), 12.0
    out, side = radius + 3, -radius - 3 - wide
    places = [(out, 4), (side, 4), (-wide / 2, -radius - 4), (-wide / 2, radius + 12)]
    places += [(out, -8), (side, -8), (out, 16), (side, 16)]
    for dx, dy in places:
        left, base = at[0] + dx, at[1] + dy
        box = (left, base - high + 2, left + wide, base + 2)
        inside = box[0] > 68 and box[2] < WIDTH - 20 and box[1] > 22 and box[3] < 362
        if inside and not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
            for other in taken
        ):
            drawing.text(left, base, name, "t small")
            taken.append(box)
            return


def epoch_lines(tables: List[Epochs]) -> str:
    """Mean training loss and test accuracy by epoch, a line per case; empty with fewer than two epochs."""
    shown = [table for table in tables if table.count > 1][:LINES]
    panels = [
        (name, title, factor)
        for name, title, factor in (
            ("loss", "training loss", 1.0),
            ("test_accuracy", "test accuracy, %", 100.0),
        )
        if any(table.has(name) for table in shown)
    ]
    if not panels:
        return ""
    drawing = Svg(WIDTH, 236, "Loss and accuracy by epoch")
    last = max(int(table.by_epoch["epoch"].max()) + 1 for table in shown)
    edges = ((66.0, 500.0), (600.0, WIDTH - 20.0))
    for (name, title, factor), (left, right) in zip(panels, edges):
        lines = [(i, table.by_epoch) for i, table in enumerate(shown) if table.has(name)]
        values = factor * np.concatenate([line[name].to_numpy() for _, line in lines])
        x, y = Scale(0.7, last + 0.3, left, right), Scale(*finite_range(values), 186, 34)
        drawing.y_axis(y, left, right, "")
        drawing.text(left, 18, title, "t head")
        for tick in x.ticks(8):
            if tick == round(tick):
                drawing.text(x(tick), 201, f"{tick:.0f}", "t n", "middle")
        drawing.text((left + right) / 2, 220, "epoch", "t axis", "middle")
        for i, line in lines:
            known = line[line[name].notna()]
            points = [
                (x(row.epoch + 1), y.clamp(factor * getattr(row, name))) for row in known.itertuples()
            ]
            drawing.polyline(points, f"series s{i}")
            for px, py in points:
                drawing.dot(px, py, 2.6, f"piece f{i % COLOURS}", f"{shown[i].case} {shown[i].label}")
    return drawing.render()


def study_bars(rows: object) -> str:
    """Mean epoch time of each case of a study with its sample standard deviation."""
    good = rows[rows["ok"] & np.isfinite(rows["mean_s"])]  # type: ignore[index]
    if good.empty:
        return ""
    left = min(300.0, 16 + max(text_width(name, 12.5) for name in good["label"]))
    right, pitch, top = 150.0, 28, 8
    bottom = top + pitch * len(good)
    drawing = Svg(WIDTH, bottom + 42, "Epoch time of each case")
    x = Scale(
        0, 1.04 * float((good["mean_s"] + good["deviation_s"].fillna(0)).max()), left, WIDTH - right
    )
    drawing.x_axis(x, top, bottom, "seconds per epoch, training and validation")
    for index, row in enumerate(good.itertuples()):
        middle = top + pitch * (index + 0.5)
        drawing.text(left - 10, middle + 4, shortened(row.label, left - 10), "t", "end")
        tip = f"{row.label}: {quantity(row.mean_s, 's')}"
        drawing.rect(x(0), middle - 8, x(row.mean_s) - x(0), 16, "bar", tip, 2)
        if np.isfinite(row.deviation_s):
            ends = x(max(0.0, row.mean_s - row.deviation_s)), x(row.mean_s + row.deviation_s)
            drawing.line(ends[0], middle, ends[1], middle, "whisker")
            for end in ends:
                drawing.line(end, middle - 4, end, middle + 4, "whisker")
        speed = f" · {row.speedup:.2f}×" if np.isfinite(row.speedup) else ""
        drawing.text(WIDTH - right + 10, middle + 4, quantity(row.mean_s, "s") + speed, "t v")
    return drawing.render()
