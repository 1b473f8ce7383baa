# SPDX-License-Identifier: BSD-3-Clause
"""What nets.html.j2 shows of one run's networks and convolutions."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
from markupsafe import Markup

from . import net_figures, nets, notes
from .net_terminal import conv_cell, giga, plain_rate
from .overview import Overview
from .steps import LOW_SHARE, Roofline, Stretches
from .units import MISSING, digits, pass_name, plural, plus_minus, short, span

PIECES = 40  # rows of a table of layers before the fold
SHAPES = 60


def nets_section(view: Overview) -> Dict[str, Any]:
    """Empty when the run has nothing of the kind."""
    found = view.nets
    if not found:
        return {}
    drawn = [table for table in found.epochs if table.count > 1][: net_figures.LINES]
    return {
        "rows": [_row(row, view) for row in found.rows.itertuples()],
        "row_notes": notes.of_rows(found.rows, view.cases, notes.INTERVAL),
        "parts": [_parts(group) for group in nets.part_groups(found.parts)],
        "layers": [_layers(roofline) for roofline in found.layers],
        "epochs": [_epochs(table) for table in found.epochs],
        "epoch_lines": Markup(net_figures.epoch_lines(found.epochs)),
        "epoch_legend": [f"{table.case} {table.label}" for table in drawn],
        "studies": [_study(study) for study in found.studies],
        "conv": _conv(view),
    }


def _row(row: Any, view: Overview) -> Dict[str, Any]:
    """One line of the table of training and inference; `more`: keys by which cases of the workload differ."""
    label = str(view.cases.loc[view.cases["case"] == row.case, "label"].iloc[0])
    more = [word for word in label.split() if "=" in word and not word.startswith(("batch=", "data="))]
    interval = span(row.low, row.high, row.rate, row.unit)
    spread = span(row.least, row.most, row.rate, row.unit)[1:-1].replace(", ", "…")
    peak = row.memory_peak_bytes
    return {
        **row._asdict(),
        "batch": short(row.batch) if row.batch == row.batch else "",
        "more": " ".join([*more, f"data={row.data}" if row.data else "", str(row.library)]).strip(),
        "interval": interval or spread,
        "shown_rate": plain_rate(row.rate, row.unit),
        "shown_slowest": plain_rate(row.slowest_rate, row.unit),
        "shown_flops": giga(row.flop_rate),
        "memory": f"{peak / 2**20:,.0f} MiB" if peak == peak and peak > 0 else MISSING,
    }


def _parts(group: List[Stretches]) -> Dict[str, Any]:
    rows = [
        {
            "case": entry.case,
            "label": entry.label,
            "step": entry.step_s,
            "count": entry.count,
            "cells": [(seconds, seconds / entry.step_s) for seconds in [*entry.mean_s, entry.rest_s]],
        }
        for entry in group
    ]
    return {
        "names": group[0].names,
        "rows": rows,
        "notes": notes.of_parts(group),
        "drawing": Markup(net_figures.part_bars(group)),
    }


def _layers(roofline: Roofline) -> Dict[str, Any]:
    rows = [
        {
            **row._asdict(),
            "low": round(row.of_bound, 4) < LOW_SHARE,
            "intensity": digits(row.intensity) if np.isfinite(row.intensity) else "",
        }
        for row in roofline.longest.itertuples()
    ]
    undrawn = int((~np.isfinite(roofline.table["intensity"])).sum())
    return {
        "case": roofline.case,
        "label": roofline.label,
        "drawing": Markup(net_figures.roofline_plot(roofline)),
        "undrawn": plural(undrawn, "piece") if undrawn else "",
        "sentences": roofline.sentences,
        "missing": roofline.missing,
        "first": rows[:PIECES],
        "others": rows[PIECES:],
        "notes": notes.of_layers(roofline),
    }


def _epochs(table: Any) -> Dict[str, Any]:
    columns = notes.epoch_columns(table)
    return {
        "case": table.case,
        "label": table.label,
        "count": table.count,
        "ranks": table.ranks,
        "heads": list(columns),
        "rows": [
            (int(row["epoch"]) + 1, [show(row) for show in columns.values()], row["slowest_s"])
            for _, row in table.by_epoch.iterrows()
        ],
    }


def _study(study: Any) -> Dict[str, Any]:
    rows = [
        {
            **row._asdict(),
            "epoch_time": plus_minus(row.mean_s, row.deviation_s, "s"),
            "shown_speedup": notes.speedup(row),
            "shown_cpus": notes.number(row.cpus),
            "shown_rate": notes.number(row.images_per_s, 4),
            "counters": [show(row) for show in notes.COUNTER_COLUMNS.values()],
        }
        for row in study.rows.itertuples()
    ]
    return {
        "series": study.series,
        "occupancy": study.occupancy,
        "rows": rows,
        "notes": notes.of_study(study),
        "why": study.why,
        "counter_heads": list(notes.COUNTER_COLUMNS) if study.counters else [],
        "counter_notes": notes.of_counters(study),
        "drawing": Markup(net_figures.study_bars(study.rows)),
    }


def _conv(view: Overview) -> Dict[str, Any]:
    grid = nets.conv_grid(view.nets.conv)
    if grid.empty:
        return {}
    known = [name for name in nets.PASSES if f"case_{name}" in grid]
    rows = [{**row, "cells": [conv_cell(row, name) for name in known]} for _, row in grid.iterrows()]
    sums = []
    for entry in view.nets.conv_sums:
        name = notes.series_name(entry)
        for key, seconds in entry.passes.items():
            sums.append((name, pass_name(key), seconds, notes.of_total(entry, key)))
        if len(entry.passes) > 1:
            sums.append((name, "all", entry.total_s, ""))
    return {
        "passes": [pass_name(name) for name in known],
        "first": rows[:SHAPES],
        "others": rows[SHAPES:],
        "sums": sums,
        "notes": notes.of_conv(view.nets.conv, view.cases),
    }
