# SPDX-License-Identifier: BSD-3-Clause
"""The report in a terminal; readable at 80 columns."""

from __future__ import annotations

from typing import List

import numpy as np
import pandas as pd
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from . import net_terminal, scale_terminal
from .casestats import usable, verdict
from .figures import NETWORK
from .overview import Overview
from .slow_remarks import nobody, sentence, since
from .starts import start_lines
from .tables import STYLES, plain_table
from .units import MISSING, digits, percent, plural, quantity, scale_of, span

SHOWN = 20  # slow units listed; the rest is counted


def print_run(console: Console, view: Overview, verbose: bool = False) -> None:
    """Verdict, headline numbers, cases, roofs, warnings, launches, slow nodes and ranks; `verbose`: also how launches began."""
    run = view.run
    console.rule(escape(run.path), align="left", style="dim")
    console.print(Text(view.verdict, style=STYLES[view.level]))
    console.print(
        Text(
            f"dlscale {run.attrs.get('dlscale_version', '?')} ({str(run.attrs.get('git_hash', '?'))[:12]}), "
            f"started {run.attrs.get('started', '?')}, {plural(int(run.attrs.get('ranks', 0)), 'rank')}",
            style="dim",
        )
    )
    _print_tiles(console, view)
    _print_cases(console, view.cases)
    scale_terminal.print_scaling(console, view)
    net_terminal.print_nets(console, view)
    _print_problems(console, view.cases)
    _print_missed(console, view.missed)
    if view.warnings:
        console.print("\n[bold yellow]Warnings[/]")
        for text in view.warnings[:SHOWN]:
            console.print(Text("• " + text))
        if len(view.warnings) > SHOWN:
            console.print(f"  and {len(view.warnings) - SHOWN} more")
    _print_launches(console, view, verbose)
    _print_slow(console, view)


def _print_tiles(console: Console, view: Overview) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    for tile in view.tiles:
        table.add_row(
            tile.title, Text(tile.value, style=f"bold {STYLES[tile.level]}".strip()), escape(tile.detail)
        )
    console.print()
    console.print(table)


def _print_cases(console: Console, cases: pd.DataFrame) -> None:
    """Cases with samples: roofs first as the file has them."""
    rows = cases[np.isfinite(cases["median_s"])]
    if rows.empty:
        console.print("\nNo case has a measured sample yet.")
        return
    rows = rows[~rows["workload"].isin(NETWORK)]
    if rows.empty:
        return
    shared = np.isfinite(rows["sharing"]).any()
    columns = ["#", "case", "rate", "interval", "roof", "worst", "slowest rank"] + (
        ["shar."] if shared else []
    )
    table = plain_table(*columns, right=("#", "rate", "roof", "worst", "shar."), wide="case")
    for _, row in rows.iterrows():
        roof = percent(row["of_roof"]) if row["roof"] else ("roof" if row["role"] == "roof" else "")
        worst = percent(row["of_roof_slowest"]) if row["roof"] else ""
        slowest = f"{row['slowest_rank']} ({row['slowest_host']})" if row["ranks"] > 1 else ""
        cells = [
            str(row["case"]),
            Text(row["label"], style="red" if row["why"] else ""),
            quantity(row["rate"], row["unit"], 4),
            _interval(row),
            roof,
            worst,
            Text(slowest),
        ]
        table.add_row(
            *cells, *([f"{row['sharing']:.2f}" if np.isfinite(row["sharing"]) else ""] if shared else [])
        )
    console.print("\n[bold]Cases[/]  [dim]per rank, the median over blocks of the median over ranks[/]")
    console.print(table)
    notes = sorted(
        {
            f"{row['roof']} ({quantity(_roof_rate(row, cases), _roof_unit(row, cases))})"
            for _, row in rows.iterrows()
            if row["roof"]
        }
    )
    if notes:
        console.print(
            Text(
                "roof: share of the least time the same rank's roofs allow, measured in the same launch: "
                + ", ".join(notes)
                + "; worst: the rank with the smallest share",
                style="dim",
            )
        )
    if shared:
        console.print(Text("shar.: rate together / rate alone", style="dim"))


def _interval(row: pd.Series) -> str:
    """ "[53.1, 55.0]", or the spread of fewer than six blocks as "53.1…55.0"."""
    if np.isfinite(row["low"]):
        return span(row["low"], row["high"], row["rate"], row["unit"]).replace("[", "\\[")
    if not np.isfinite(row["least"]):
        return MISSING
    factor, _ = scale_of(row["rate"], row["unit"])
    return f"{digits(row['least'] / factor, 4)}…{digits(row['most'] / factor, 4)}"


def _roof_rate(row: pd.Series, cases: pd.DataFrame) -> float:
    return float(cases.loc[cases["case"] == row["roof_case"], "rate"].iloc[0])


def _roof_unit(row: pd.Series, cases: pd.DataFrame) -> str:
    return str(cases.loc[cases["case"] == row["roof_case"], "unit"].iloc[0])


def _print_problems(console: Console, cases: pd.DataFrame) -> None:
    """Failed, skipped and unfinished cases with their message."""
    rows = [row for _, row in cases.iterrows() if not usable(row)]
    if rows:
        console.print("\n[bold]Failed and skipped[/]")
    for row in rows:
        failed = verdict(row) == "failed"
        console.print(
            Text.assemble(
                (f"{row['status']:8}", STYLES["bad" if failed else "warn"]),
                f"{row['case']} {row['label']}: {row['message'] or 'no message recorded'}",
            )
        )
        if failed and row["repro"]:
            console.print(Text(f"        again: dlscale --case '{row['repro']}'", style="dim"))
    waiting = int(cases["status"].isin(["planned", "running"]).sum())
    if waiting:
        console.print(f"\n{plural(waiting, 'case')} planned or running")


def _print_missed(console: Console, rows: List[pd.Series]) -> None:
    """Performance that the job asked for and did not get."""
    if rows:
        console.print("\n[bold]Requirements missed[/]")
    for row in rows:
        text = f"{row['case']} {row['label']}: {row['message']}"
        console.print(Text.assemble(("missed  ", STYLES["warn"]), text))


def _print_slow(console: Console, view: Overview) -> None:
    """Who is slow, why, since when; what could not be judged."""
    console.print("\n[bold]Slow nodes and ranks[/]")
    if not view.slow.named:
        beyond = ": none is beyond its bound in two of three groups of blocks" if view.slow.tests else ""
        console.print(nobody(view.slow) + beyond)
    for entry in view.slow.named[:SHOWN]:
        console.print(Text("• " + sentence(entry), style="yellow" if entry.level != "rank" else ""))
        for text in [*entry.details, since(entry, view.slow.launches)]:
            console.print(Text("  " + text, style="dim"))
    if len(view.slow.named) > SHOWN:
        console.print(f"  and {len(view.slow.named) - SHOWN} more (--csv lists all)")
    if view.slow.exclude:
        console.print(Text(f"proposal: --exclude={view.slow.exclude}"))
    for text in view.slow.remarks[:SHOWN]:
        console.print(Text(text, style="dim"))


def _print_launches(console: Console, view: Overview, verbose: bool) -> None:
    table = plain_table(
        "launch", "started", "reason", "ranks", "hosts", right=("launch", "ranks"), wide="hosts"
    )
    for _, row in view.run.launches.iterrows():
        hosts = [host for host in str(row["hosts"]).split(",") if host]
        text = ", ".join(hosts[:6]) + (f", … ({len(hosts)} hosts)" if len(hosts) > 6 else "")
        count = int((view.run.ranks["launch"] == row["launch"]).sum())
        table.add_row(
            str(row["launch"]), str(row["started"]), str(row["reason"]), str(count), Text(text)
        )
    console.print("\n[bold]Launches[/]")
    console.print(table)
    for line in start_lines(view.run, verbose):
        console.print(Text(line))


def progress(view_cases: pd.DataFrame, samples: int, since_s: float) -> Group:
    """What a running file has so far: a bar of cases, the case being measured, samples, seconds since its start."""
    total = max(1, len(view_cases))
    done = int(view_cases["status"].isin(["completed", "failed", "skipped"]).sum())
    filled = round(30 * done / total)
    running = view_cases[view_cases["status"] == "running"]
    now = ", ".join(f"{row['id']} {row['workload']}" for _, row in running.head(3).iterrows()) or "–"
    bar = Text("█" * filled, style="green") + Text("░" * (30 - filled), style="dim")
    elapsed = f", {since_s:.0f} s since the start" if np.isfinite(since_s) else ""
    return Group(
        Text.assemble(bar, f" {done} of {plural(total, 'case')}{elapsed}"),
        Text(f"measuring: {now}; {samples:,} samples written", style="dim"),
    )
