# SPDX-License-Identifier: BSD-3-Clause
"""Scaling in the terminal; readable at 80 columns."""

from __future__ import annotations

from typing import Dict

from rich.console import Console
from rich.text import Text

from .overview import Overview
from .scale_tables import Section, sections
from .tables import plain_table
from .units import plural

ROWS = 24  # of a table; the others are counted
BULLETS = 8
TABLES = 12  # of one kind


def print_scaling(console: Console, view: Overview) -> None:
    """Nothing when the run has no distributed case."""
    shown: Dict[str, int] = {}
    for section in sections(view.scaling):
        shown[section.kind] = shown.get(section.kind, 0) + 1
        if shown[section.kind] <= TABLES:
            print_section(console, section)
    more = sum(max(0, count - TABLES) for count in shown.values())
    if more:
        console.print(Text(f"{plural(more, 'more table')}: --html and --csv.", style="dim"))


def print_section(console: Console, section: Section) -> None:
    detail = "  " + section.detail if section.detail else ""
    console.print(Text.assemble("\n", (section.title, "bold"), (detail, "dim")))
    if section.rows:
        table = plain_table()
        for head, right in zip(section.heads, section.right):
            table.add_column(
                Text(head),
                justify="right" if right else "left",
                no_wrap=head != "case",
                overflow="fold",
            )
        for row in section.rows[:ROWS]:
            table.add_row(*[Text(cell) for cell in row])
        console.print(table)
        if len(section.rows) > ROWS:
            more = plural(len(section.rows) - ROWS, "more row")
            console.print(Text(f"and {more} (--html, --csv list all)", style="dim"))
    for text in section.bullets[:BULLETS]:
        console.print(Text("• " + text))
    if len(section.bullets) > BULLETS:
        console.print(f"  and {len(section.bullets) - BULLETS} more")
    if section.notes:
        console.print(Text(" ".join(section.notes), style="dim"))
