# SPDX-License-Identifier: BSD-3-Clause
"""How long launches took before anything was measured: launcher, loading, MPI_Init."""

from __future__ import annotations

import math
from typing import Any, Dict, List

from .load import Run
from .units import quantity

LONG_S = 10.0  # from which a start is worth a line
# kind, key of its largest value, key of the rank that had it
KINDS = (
    ("launch_s", "latest", "latest_rank", "from the launcher to main on the last rank"),
    ("loading_s", "max", "slowest_rank", "loading of the program and its libraries"),
    ("mpi_init_s", "max", "slowest_rank", "MPI_Init"),
)


def start_lines(run: Run, every: bool = False) -> List[str]:
    """A sentence per launch with a part longer than LONG_S; `every`: per launch that tells."""
    lines = []
    for launch, facts in enumerate(run.environment):
        parts = _parts(run, launch, facts.get("start"))
        if parts and (every or any(part["seconds"] > LONG_S for part in parts)):
            lines.append(f"start of launch {launch}: " + ", ".join(part["text"] for part in parts))
    return lines


def _parts(run: Run, launch: int, start: Any) -> List[Dict[str, Any]]:
    """Seconds and text of each part that the file tells; files of older versions tell none."""
    parts = []
    for kind, key, rank_key, what in KINDS:
        entry = start.get(kind) if isinstance(start, dict) else None
        seconds = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
            continue
        where = _place(run, launch, entry.get(rank_key))
        parts.append({"seconds": seconds, "text": f"{what} {quantity(seconds, 's')}{where}"})
    return parts


def _place(run: Run, launch: int, rank: Any) -> str:
    rows = run.ranks[(run.ranks["launch"] == launch) & (run.ranks["rank"] == rank)]
    return f" (rank {rank} on {rows['host'].iloc[0]})" if len(rows) else ""
