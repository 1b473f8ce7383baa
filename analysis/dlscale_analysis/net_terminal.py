# SPDX-License-Identifier: BSD-3-Clause
"""Training, inference and convolutions in the terminal; readable at 80 columns."""

from __future__ import annotations

import math
from typing import Any, List

import numpy as np
import pandas as pd
from rich.console import Console
from rich.text import Text

from . import nets, notes
from .epochs import Epochs, Study
from .overview import Overview
from .steps import Roofline, Stretches
from .tables import plain_table
from .units import IMAGES, MISSING, digits, pass_name, percent, plural, plus_minus, quantity

PIECES = 12  # of a case, the longest; the others are counted
SENTENCES = 8
CASES = 4  # with layers, or with epochs, that are shown; the others are counted
EPOCHS = 12  # of a case: the first ones and the last
SHAPES = 20  # convolutions, those that take longest


def print_nets(console: Console, view: Overview) -> None:
    """Nothing when the run has no networks and no convolutions."""
    found = view.nets
    if len(found.rows):
        _print_rows(console, view)
    for group in nets.part_groups(found.parts):
        _print_parts(console, group)
    for roofline in found.layers[:CASES]:
        _print_layers(console, roofline)
    for epochs in found.epochs[:CASES]:
        _print_epochs(console, epochs)
    for what, more in (("layers", len(found.layers) - CASES), ("epochs", len(found.epochs) - CASES)):
        if more > 0:
            _note(console, f"{what.capitalize()} of {plural(more, 'more case')}: --html and --csv.")
    for study in found.studies:
        _print_study(console, study)
    if len(found.conv):
        _print_conv(console, view)


def _title(console: Console, title: str, detail: str = "") -> None:
    console.print(Text.assemble("\n", (title, "bold"), ("  " + detail if detail else "", "dim")))


def _note(console: Console, *texts: str) -> None:
    text = " ".join(text for text in texts if text)
    if text:
        console.print(Text(text, style="dim"))


def plain_rate(rate: float, unit: str) -> str:
    """A rate in a column of images/s: the number alone."""
    text = quantity(rate, unit, 4)
    return text[: -len(IMAGES) - 1] if text.endswith(" " + IMAGES) else text


def name_of(row: Any, label: str) -> str:
    """The case's label with its threads; the star marks synthetic data."""
    threads = f"{row.threads}t"
    words = label if threads in label.split() else f"{label} {threads}"
    return words.replace(row.model, f"{row.model}*", 1) if row.synthetic else words


def _print_rows(console: Console, view: Overview) -> None:
    rows = view.nets.rows
    labels = view.cases.set_index("case")["label"]
    _title(console, "Training and inference", "per rank")
    latency = bool((rows["p99_samples"] > 0).any())
    columns = ["#", "case", IMAGES, "±", "slowest", "time"] + (["p99"] if latency else [])
    columns += ["GFLOP/s", "fma"]
    table = plain_table(*columns, right=tuple(columns[2:]) + ("#",), wide="case")
    for workload in nets.NETS:
        for row in rows[rows["workload"] == workload].itertuples():
            name = Text(name_of(row, labels[row.case]), style="" if row.ok else "red")
            if not row.ok:
                table.add_row(str(row.case), name, row.why)
                continue
            cells = [plain_rate(row.rate, row.unit), percent(row.half_width, 1)]
            cells += [plain_rate(row.slowest_rate, row.unit) if row.ranks > 1 else ""]
            cells += [quantity(row.median_s, "s")]
            cells += [quantity(row.p99_s, "s") if row.p99_samples else ""] if latency else []
            cells += [digits(row.flop_rate / 1e9) if row.flop_rate == row.flop_rate else MISSING]
            table.add_row(str(row.case), name, *cells, percent(row.of_fma))
    console.print(table)
    _note(console, *notes.of_rows(rows, view.cases, notes.HALF_WIDTH))


def _print_parts(console: Console, group: List[Stretches]) -> None:
    _title(console, "Where a step goes", "means over measured samples and ranks")
    shown = [i for i in range(len(group[0].names)) if any(entry.mean_s[i] > 0 for entry in group)]
    names = [group[0].names[i] for i in shown]
    table = plain_table(
        "#", "case", "step", *names, "rest", right=("#", "step", *names, "rest"), wide="case"
    )
    for entry in group:
        shares = [percent(entry.mean_s[i] / entry.step_s, 1) for i in shown]
        step, rest = quantity(entry.step_s, "s"), percent(entry.rest_s / entry.step_s + 0.0, 1)
        table.add_row(str(entry.case), Text(entry.label), step, *shares, rest)
    console.print(table)
    _note(console, *notes.of_parts(group))


def _print_layers(console: Console, roofline: Roofline) -> None:
    _title(console, f"Layers against the roofline: {roofline.case} {roofline.label}")
    columns = ("piece", "time", "step", "GFLOP/s", "GB/s", "bound", "reached")
    table = plain_table(*columns, right=("time", "step", "GFLOP/s", "GB/s", "reached"), wide="piece")
    for row in roofline.longest.head(PIECES).itertuples():
        table.add_row(
            Text(row.piece),
            quantity(row.mean_s, "s"),
            percent(row.share, 1),
            giga(row.flop_rate),
            giga(row.byte_rate),
            row.bound,
            percent(row.of_bound),
        )
    console.print(table)
    more = len(roofline.table) - PIECES
    if more > 0:
        _note(console, f"and {plural(more, 'shorter piece')} (--html, --csv list all)")
    for text in roofline.sentences[:SENTENCES]:
        console.print(Text("• " + text))
    if len(roofline.sentences) > SENTENCES:
        console.print(f"  and {len(roofline.sentences) - SENTENCES} more below 50 % of their bound")
    _note(console, *notes.of_layers(roofline))


def giga(rate: float) -> str:
    return digits(rate / 1e9) if math.isfinite(rate) else MISSING


def _print_epochs(console: Console, epochs: Epochs) -> None:
    _title(console, f"Epochs: {epochs.case} {epochs.label}", notes.over_ranks(epochs))
    cells = notes.epoch_columns(epochs, brief=True)
    table = plain_table("epoch", *cells, right=("epoch", *cells))
    rows = epochs.by_epoch
    kept = rows.index if len(rows) <= EPOCHS else [*rows.index[: EPOCHS - 4], *rows.index[-3:]]
    for index in kept:
        row = rows.loc[index]
        if len(rows) > EPOCHS and index == rows.index[-3]:
            table.add_row("…")
        table.add_row(f"{int(row['epoch']) + 1}", *[show(row) for show in cells.values()])
    console.print(table)


def _print_study(console: Console, study: Study) -> None:
    _title(console, f"Speed-up study: {study.series}", f"time of an epoch, n = {study.values} per row")
    right = ("epoch time", "speed-up", "CPU time", "CPUs", "accuracy")
    table = plain_table("case", *right, right=right, wide="case")
    for row in study.rows.itertuples():
        if not row.ok:
            table.add_row(Text(row.label, style="red"), row.why)
            continue
        table.add_row(
            Text(row.label),
            plus_minus(row.mean_s, row.deviation_s, "s"),
            notes.speedup(row),
            quantity(row.cpu_s, "s", 4),
            digits(row.cpus) if row.cpus == row.cpus else MISSING,
            percent(row.last_accuracy, 2),
        )
    console.print(table)
    _note(console, *notes.of_study(study))
    _print_counters(console, study)


def _print_counters(console: Console, study: Study) -> None:
    if study.why:
        console.print(Text(f"Counters: {study.why}"))
    if not study.counters:
        return
    columns = list(notes.COUNTER_COLUMNS)
    table = plain_table("case", *columns, right=tuple(columns), wide="case")
    for row in study.rows[study.rows["ok"]].itertuples():
        table.add_row(Text(row.label), *[show(row) for show in notes.COUNTER_COLUMNS.values()])
    console.print()
    console.print(table)
    _note(console, *notes.of_counters(study))


def _print_conv(console: Console, view: Overview) -> None:
    grid = nets.conv_grid(view.nets.conv)
    known = [name for name in nets.PASSES if f"case_{name}" in grid]
    _title(console, "Convolutions", "GFLOP/s per rank and per cent of the roof")
    heads = [pass_name(name) for name in known]
    table = plain_table("shape", *heads, "type", right=tuple(heads), wide="shape")
    shown = grid.loc[
        grid["total_s"].sort_values(ascending=False, kind="stable").index[:SHAPES]
    ].sort_index()
    for _, row in shown.iterrows():
        extra = [] if row["occupancy"] in ("", "together") else [row["occupancy"]]
        extra += [row["algorithm"]] if grid["algorithm"].nunique() > 1 else []
        extra += [f"{row['threads']}t"] if grid["threads"].nunique() > 1 else []
        name = " ".join([row["shape"], *extra])
        table.add_row(Text(name), *[conv_cell(row, name) for name in known], row["dtype"])
    console.print(table)
    if len(grid) > SHAPES:
        _note(console, f"the {SHAPES} that take longest of {len(grid)} (--html lists all)")
    _note(console, *notes.of_conv(view.nets.conv, view.cases))
    _print_sums(console, view.nets.conv_sums)


def conv_cell(row: pd.Series, name: str) -> str:
    """ "812 81 %", "812 81 % w" for Winograd, "failed", "skipped", or empty where the shape has no such pass."""
    if row.get(f"case_{name}") != row.get(f"case_{name}"):
        return ""
    if row[f"why_{name}"]:
        return str(row[f"why_{name}"])
    if not np.isfinite(row[f"rate_{name}"]):
        return MISSING
    mark = " w" if row[f"chosen_{name}"] == "winograd" else ""
    return f"{giga(row[f'rate_{name}'])} {percent(row[f'share_{name}']):>5}{mark}"


def _print_sums(console: Console, sums: List[nets.ConvSum]) -> None:
    for entry in sums:
        listed = ", ".join(
            f"{pass_name(name)} {quantity(seconds, 's', 4)} ({notes.of_total(entry, name)})"
            for name, seconds in entry.passes.items()
        )
        whole = f"; together {quantity(entry.total_s, 's', 4)}" if len(entry.passes) > 1 else ""
        console.print(Text(f"• {notes.series_name(entry)}, sum of times: {listed}{whole}"))
