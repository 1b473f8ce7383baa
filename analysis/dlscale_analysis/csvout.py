# SPDX-License-Identifier: BSD-3-Clause
"""CSV for spreadsheets and other tools: one row per case, per named slow rank, per sample and rank."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import List

import pandas as pd

from .overview import Overview

NUMBERS = "%.9g"


def write_csv(folder: str, views: List[Overview]) -> List[str]:
    """Writes cases.csv, slow_ranks.csv and samples.csv (times in seconds per repetition, clocks in ns since launch,
    `run` = the file a row is from) and returns their names."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    cases = [view.cases.assign(run=view.run.path) for view in views]
    _run_first(pd.concat(cases, ignore_index=True)).to_csv(
        target / "cases.csv", index=False, float_format=NUMBERS
    )
    columns = [
        "run",
        "launch",
        "rank",
        "host",
        "named",
        "judged",
        "excess",
        "noop_s",
        "workloads",
        "slower_of_two",
        "at_fault",
    ]
    rows = [
        {**asdict(rank), "run": view.run.path, "workloads": " ".join(rank.workloads)}
        for view in views
        for rank in view.slow
    ]
    pd.DataFrame(rows, columns=columns).to_csv(
        target / "slow_ranks.csv", index=False, float_format=NUMBERS
    )
    _write_samples(target / "samples.csv", views)
    return ["cases.csv", "slow_ranks.csv", "samples.csv"]


def _write_samples(path: Path, views: List[Overview]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as out:
        header = True
        for view in views:
            for piece in view.run.tables():
                _run_first(piece.assign(run=view.run.path)).to_csv(
                    out, index=False, header=header, float_format=NUMBERS
                )
                header = False


def _run_first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["run"] + [column for column in frame if column != "run"]]
