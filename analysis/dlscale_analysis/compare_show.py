# SPDX-License-Identifier: BSD-3-Clause
"""A comparison in the terminal, as JSON, as CSV."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Dict, List

import pandas as pd
from rich.console import Console
from rich.text import Text

from .commands import for_json
from .compare_side import Comparison, Row, Side
from .compare_stats import FASTER, SAME, SLOWER, UNSURE
from .tables import plain_table
from .units import MISSING, digits, percent, plural, scale_of

COLOURS = {FASTER: "green", SAME: "default", SLOWER: "bold red", UNSURE: "yellow"}
ONE_LAUNCH = "¹"
SHOWN = 12  # differences and lonely cases listed; the rest is counted
LONGEST = 48  # of a fact's value
COLUMNS = (
    "label workload quantity ranks threads unit a b ratio low high p p_holm verdict scope "
    "launches_a launches_b"
).split()


def print_comparison(console: Console, found: Comparison) -> None:
    console.rule("A → B", align="left", style="dim")
    for side in (found.a, found.b):
        console.print(Text(_side(side)))
    words = [f"{found.count(word)} {word}" for word in (SLOWER, FASTER, SAME, UNSURE)]
    style = (
        "bold red"
        if found.count(SLOWER) or found.failed_in_b
        else ("yellow" if found.count(UNSURE) else "green")
    )
    text = f"\n{plural(len(found.rows), 'comparison')}: {', '.join(words)}"
    if found.failed_in_b:
        text += f"; {plural(len(found.failed_in_b), 'case')} of A failed in B"
    console.print(Text(text, style=style))
    _print_rows(console, found)
    for text in found.notes:
        console.print(Text("• " + text, style="dim"))
    _print_differences(console, found)
    _print_left_out(console, found)


def _side(side: Side) -> str:
    names = ", ".join(Path(run.path).name for run in side.runs[:4]) + (
        ", …" if len(side.runs) > 4 else ""
    )
    return f"{side.name}  {plural(side.launches, 'launch')}: {names}"


def _print_rows(console: Console, found: Comparison) -> None:
    if not found.rows:
        return
    several = len({(row.ratio.launches_a, row.ratio.launches_b) for row in found.rows}) > 1
    columns = ["case", *(["n"] if several else []), "A", "B", "B/A", "interval", "verdict"]
    table = plain_table(*columns, right=("A", "B", "B/A", "n"), wide="case")
    label = ""
    for row in found.rows:
        name = f"  {row.quantity}" if row.label == label else row.label
        label = row.label
        low, high = row.ends
        factor, unit = scale_of(row.rate_a, row.unit)
        table.add_row(
            Text(name),
            *([f"{row.ratio.launches_a}+{row.ratio.launches_b}"] if several else []),
            digits(row.rate_a / factor),
            f"{digits(row.rate_b / factor)} {unit}",
            f"{math.exp(row.ratio.log_ratio):.3f}",
            Text(f"[{low:.3f}, {high:.3f}]" if math.isfinite(low) else MISSING),
            Text(
                row.verdict + (ONE_LAUNCH if row.ratio.one_launch else ""),
                style=COLOURS[row.verdict],
            ),
        )
    console.print(table)
    text = (
        "First line of a case: the slowest rank of each sample where ranks work on one problem, else the "
        f"median rank. B/A: speed of B over that of A with its own {percent(found.confidence)} interval. "
        f"SAME: inside ±{percent(found.delta, 1)}. FASTER, SLOWER: apart from 1, the chance of a single "
        f"wrong one among all cases at most {percent(1 - found.confidence)} (Holm)."
    )
    console.print(Text(text, style="dim"))
    if any(row.ratio.one_launch for row in found.rows):
        console.print(Text(f"{ONE_LAUNCH} {found.one_launch_note}", style="yellow"))


def _print_differences(console: Console, found: Comparison) -> None:
    if not found.differences:
        return
    console.print("\n[bold]Different beside the times[/]")
    for entry in found.differences[:SHOWN]:
        a, b = (text or "none" for text in (entry.a, entry.b))
        said = f"{a} → {b}" if max(len(a), len(b)) <= LONGEST else "differs (--json has the texts)"
        console.print(Text(f"• {entry.name}: {said}"))
    if len(found.differences) > SHOWN:
        console.print(f"  and {len(found.differences) - SHOWN} more (--json lists all)")


def _print_left_out(console: Console, found: Comparison) -> None:
    if found.left_out:
        console.print("\n[bold]Not compared[/]")
    for label, why in found.left_out:
        console.print(Text(f"• {label}: {why}", style="red" if label in found.failed_in_b else ""))
    for side in "AB":
        names = [label for label, where in found.lonely if where == side]
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            console.print(Text(f"• only in {side}: {'; '.join(names[:SHOWN])}{more}"))


def as_json(found: Comparison, exit_code: int) -> str:
    """The whole comparison; numbers that are not there are null."""
    document: Dict[str, Any] = {
        "exit_code": exit_code,
        "delta": found.delta,
        "confidence": found.confidence,
        "counts": {word: found.count(word) for word in (FASTER, SLOWER, SAME, UNSURE)},
        **{
            side.name.lower(): {"files": [run.path for run in side.runs], "launches": side.launches}
            for side in (found.a, found.b)
        },
        "cases": [{name: for_json(value) for name, value in record(row).items()} for row in found.rows],
        "failed_in_b": found.failed_in_b,
        "not_compared": [{"label": label, "why": why} for label, why in found.left_out],
        "only_in": {
            side.lower(): [label for label, where in found.lonely if where == side] for side in "AB"
        },
        "differences": [{"name": entry.name, "a": entry.a, "b": entry.b} for entry in found.differences],
        "notes": found.notes,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(found: Comparison) -> str:
    """A row per comparison: rates in FLOP/s, B/s, images/s, or seconds (unit s)."""
    return pd.DataFrame([record(row) for row in found.rows], columns=COLUMNS).to_csv(
        index=False, float_format="%.9g"
    )


def record(row: Row) -> Dict[str, Any]:
    low, high = row.ends
    workload, ranks, threads = (row.identity[index] for index in (0, 6, 7))
    values: List[Any] = [
        row.label,
        workload,
        row.quantity,
        ranks,
        threads,
        row.unit,
        row.rate_a,
        row.rate_b,
    ]
    values += [math.exp(row.ratio.log_ratio), low, high, row.p, row.p_holm, row.verdict]
    values += [
        "one launch" if row.ratio.one_launch else "launches",
        row.ratio.launches_a,
        row.ratio.launches_b,
    ]
    return dict(zip(COLUMNS, values))
