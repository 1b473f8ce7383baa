# SPDX-License-Identifier: BSD-3-Clause
"""What scaling.html.j2 shows of one run's distributed cases."""

from __future__ import annotations

from typing import Any, Dict, List

from markupsafe import Markup

from . import scale_figures
from .links import bus_lines
from .ledger import TERMS
from .overview import Overview
from .scale_tables import Section, sections

FOLD = 30  # rows of a table before the fold


def scaling_section(view: Overview) -> Dict[str, Any]:
    """Empty when the run has nothing of the kind."""
    scaling = view.scaling
    if not scaling:
        return {}
    cards = [_card(section) for section in sections(scaling)]
    return {"cards": cards, "ranks": [_ranks(entry) for entry in scaling.rank_parts]}


def _card(section: Section) -> Dict[str, Any]:
    drawings, legend = _drawings(section)
    cells = [list(zip(row, section.right)) for row in section.rows]
    return {
        "kind": section.kind,
        "title": section.title,
        "detail": section.detail,
        "heads": list(zip(section.heads, section.right)),
        "first": cells[:FOLD],
        "others": cells[FOLD:],
        "bullets": section.bullets,
        "notes": section.notes,
        "drawings": [Markup(text) for text in drawings if text],
        "legend": legend,
    }


def _drawings(section: Section) -> tuple:
    """SVG texts, and the legend as pairs of a symbol's class and a text."""
    subject = section.subject
    if section.kind == "curve":
        own = any(point.independent.count for point in subject.curve.points)
        legend = [("dot f0", "measured, with interval"), ("line ideal", "ideal")]
        legend += [("dot f1", "against ranks that work by themselves")] if own else []
        return [scale_figures.curve_figure(subject.curve)], legend
    if section.kind == "ledger":
        used = {term.names[0]: term.title for ledger in subject.ledgers for term in ledger.terms}
        legend = [(f"box f{index}", used[name]) for index, name in enumerate(TERMS) if name in used]
        return [scale_figures.ledger_bars(subject)], legend
    if section.kind == "bus":
        modes = {mode for _, mode, _ in bus_lines(subject)}
        legend = [("line series s0", "isolated"), ("line series s0 dashed", "batched")]
        return [scale_figures.bus_figure(subject)], legend if "batched" in modes else []
    if section.kind == "pairs":
        steps = ("fast2", "fast1", "usual", "slow1", "slow2", "slow3")
        texts = ("faster by 10 %", "3 %", "usual", "slower by 3 %", "10 %", "30 % in time")
        legend = [(f"box cell {step}", text) for step, text in zip(steps, texts)]
        return [scale_figures.pair_map(subject)], legend + [("box cell usual marked", "slow")]
    if section.kind == "pdgemm":
        return [scale_figures.block_figure(sweep) for sweep in subject.sweeps], []
    return [], []


def _ranks(entry: Any) -> Dict[str, Any]:
    names: List[str] = entry.bars.part_names
    return {
        "case": entry.case,
        "label": entry.label,
        "drawing": Markup(scale_figures.rank_bars(entry)),
        "legend": [(f"box f{index % 6}", name) for index, name in enumerate(names)],
        "many": len(entry.bars.ranks) > scale_figures.RANKS,
    }
