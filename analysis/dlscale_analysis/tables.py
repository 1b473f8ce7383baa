# SPDX-License-Identifier: BSD-3-Clause
"""The terminal report's tables and colours."""

from __future__ import annotations

from rich import box
from rich.table import Table

STYLES = {"good": "green", "warn": "yellow", "bad": "bold red", "": "default"}


def plain_table(*columns: str, right: tuple = (), wide: str = "") -> Table:
    """Columns named in `right` are aligned there; only `wide` may be folded."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=column != wide,
            overflow="fold",
        )
    return table
