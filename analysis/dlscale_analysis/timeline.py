# SPDX-License-Identifier: BSD-3-Clause
"""The figure of one case's samples in the order they were taken."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from .casestats import SAMPLE_LEVELS, CaseStats
from .svg import Scale, Svg, finite_range
from .units import scale_of

WIDTH, HEIGHT = 1040, 214
TOP, BOTTOM = 34, 172
MAIN = (66, 610)  # left and right edge of the large panel
SMALL = ((650, 830), (850, 1030))
MOST = 600  # samples drawn; of more, every k-th
COLOURS = 6
FEW = 20  # ranks, below which the band holds all of them


def sample_figure(stats: CaseStats, label: str, turns: bool = False) -> str:
    """Large panel: every sample (median over ranks; of all for distributed cases) coloured by block, the band from the
    5th to the 95th percentile of ranks (all of a few ranks; none where they take turns), warm-ups hollow, the interval
    of the median. Small panels on the same scale: the median rank and the slowest rank."""
    level = SAMPLE_LEVELS.index(1.0 if stats.distributed else 0.5)
    values = stats.sample_s[level]
    if not np.isfinite(values[~stats.sample_warm]).any():
        return ""
    factor, name = scale_of(stats.time.median, "s")
    traces = {key: trace / factor for key, trace in stats.traces.items()}
    measured = ~stats.sample_warm
    few = len(stats.ranks) < FEW
    band = (
        stats.sample_s[
            [SAMPLE_LEVELS.index(0.0 if few else 0.05), SAMPLE_LEVELS.index(1.0 if few else 0.95)]
        ]
        / factor
    )
    if turns:
        band = np.full_like(band, np.nan)  # the ranks that work change from sample to sample
    lead = [values[measured] / factor, band[:, measured].ravel()]
    lead += (
        [trace[measured] for trace in traces.values()]
        if not stats.distributed and len(stats.ranks) > 1
        else []
    )
    y = Scale(*finite_range(np.concatenate(lead)), BOTTOM, TOP)
    drawing = Svg(WIDTH, HEIGHT, f"Samples of {label} in the order they were taken")
    _main_panel(drawing, stats, values / factor, band, factor, y, name)
    if not stats.distributed and len(stats.ranks) > 1:
        for key, kind, index, edges in (
            ("median", "median rank", stats.middle, SMALL[0]),
            ("slowest", "slowest rank", stats.slowest, SMALL[1]),
        ):
            title = f"{kind}: {stats.ranks[index]} ({stats.hosts[index]})"
            _small_panel(
                drawing, stats, traces[key], y, edges, title, "slowrank" if key == "slowest" else "rank"
            )
    return drawing.render()


def _main_panel(
    drawing: Svg,
    stats: CaseStats,
    values: np.ndarray,
    band: np.ndarray,
    factor: float,
    y: Scale,
    unit: str,
) -> None:
    x = _frame(drawing, stats, MAIN)
    drawing.y_axis(y, *MAIN, unit)
    what = (
        "all ranks together"
        if stats.distributed
        else "median over ranks" if len(stats.ranks) > 1 else f"rank {stats.ranks[0]} ({stats.hosts[0]})"
    )
    drawing.text(MAIN[0], 14, what, "t head")
    if stats.time.valid:
        low, high = y.clamp(stats.time.high / factor), y.clamp(stats.time.low / factor)
        drawing.rect(MAIN[0], low, MAIN[1] - MAIN[0], max(1.0, high - low), "interval")
    kept = _thinned(values)
    if len(stats.ranks) > 2 and not stats.distributed:
        inside = [i for i in kept if np.isfinite(band[:, i]).all()]
        drawing.band(
            [(x(i), y.clamp(band[1, i])) for i in inside],
            [(x(i), y.clamp(band[0, i])) for i in inside],
            "spread",
        )
    for block in np.unique(stats.sample_block[~stats.sample_warm]):
        chosen = [i for i in kept if stats.sample_block[i] == block and not stats.sample_warm[i]]
        drawing.dots([(x(i), y.clamp(values[i])) for i in chosen], f"dots s{int(block) % COLOURS}")
    for i in (i for i in kept if stats.sample_warm[i]):
        drawing.dot(x(i), y.clamp(values[i]), 2.6, "hollow", "warm-up")
    drawing.text(
        (MAIN[0] + MAIN[1]) / 2, BOTTOM + 32, "sample" + _thin_note(values, kept), "t axis", "middle"
    )


def _small_panel(
    drawing: Svg,
    stats: CaseStats,
    trace: np.ndarray,
    y: Scale,
    edges: Tuple[float, float],
    title: str,
    kind: str,
) -> None:
    x = _frame(drawing, stats, edges, 2)
    drawing.y_axis(y, *edges, "", numbers=False)
    drawing.text(edges[0], 14, title, "t head")
    kept = _thinned(trace, MOST // 3)
    drawing.dots([(x(i), y.clamp(trace[i])) for i in kept if not stats.sample_warm[i]], f"dots {kind}")
    for i in (i for i in kept if stats.sample_warm[i]):
        drawing.dot(x(i), y.clamp(trace[i]), 2.2, "hollow", "warm-up")


def _frame(drawing: Svg, stats: CaseStats, edges: Tuple[float, float], count: int = 6) -> Scale:
    """Shades every other block and returns the scale of sample numbers."""
    rows = len(stats.sample_block)
    x = Scale(-0.5, rows - 0.5, *edges)
    changes = np.flatnonzero(np.diff(stats.sample_block)) + 1
    bounds: List[int] = [0, *changes.tolist(), rows]
    for first, last in zip(bounds[:-1], bounds[1:]):
        if stats.sample_block[first] >= 0 and stats.sample_block[first] % 2 == 0:
            drawing.rect(x(first - 0.5), TOP, x(last - 0.5) - x(first - 0.5), BOTTOM - TOP, "shade")
    for tick in x.ticks(count):
        if tick == round(tick):
            drawing.text(x(tick), BOTTOM + 15, f"{tick:,.0f}", "t n", "middle")
    drawing.line(edges[0], BOTTOM, edges[1], BOTTOM, "zero")
    return x


def _thinned(values: np.ndarray, most: int = MOST) -> np.ndarray:
    """Indices of the samples to draw."""
    kept = np.flatnonzero(np.isfinite(values))
    return kept[:: -(-kept.size // most)] if kept.size > most else kept


def _thin_note(values: np.ndarray, kept: np.ndarray) -> str:
    total = int(np.isfinite(values).sum())
    return f" (every {-(-total // MOST)}th drawn)" if kept.size < total else ""
