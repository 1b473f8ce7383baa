# SPDX-License-Identifier: BSD-3-Clause
"""CSV for spreadsheets and other tools: one row per case, per slow node or rank, per sample and rank; of networks one
per case, per part and rank, per layer, per epoch and rank, per row of a speed-up study."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pandas as pd

from .epochs import DERIVED, STUDY_COLUMNS
from .nets import NET_COLUMNS
from .overview import Overview
from .scale_csv import SCALING
from .steps import LAYER_COLUMNS

NUMBERS = "%.9g"
SLOW_COLUMNS = (
    "run launch level name host rank cause pattern excess bound unit cases launches since exclude by"
).split()


def write_csv(folder: str, views: List[Overview]) -> List[str]:
    """Writes cases.csv, slow.csv, samples.csv and the tables of NETS and SCALING (times in seconds per repetition, clocks in
    ns since launch, `run` = the file a row is from) and returns their names. A table without rows has its header.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    cases = [view.cases.assign(run=view.run.path) for view in views]
    _run_first(pd.concat(cases, ignore_index=True)).to_csv(
        target / "cases.csv", index=False, float_format=NUMBERS
    )
    rows = [
        {**asdict(e), "run": view.run.path, "cases": "; ".join(e.cases), "launches": len(e.launches)}
        for view in views
        for e in view.slow.named
    ]
    pd.DataFrame(rows, columns=SLOW_COLUMNS).to_csv(
        target / "slow.csv", index=False, float_format=NUMBERS
    )
    _write_samples(target / "samples.csv", views)
    more = {**NETS, **SCALING}
    for name, (columns, pieces) in more.items():
        frames = [piece.assign(run=view.run.path) for view in views for piece in pieces(view)]
        table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        columns = ["run"] + columns + [column for column in table if column not in ["run"] + columns]
        table.reindex(columns=columns).to_csv(target / name, index=False, float_format=NUMBERS)
    return ["cases.csv", "slow.csv", "samples.csv", *more]


def _networks(view: Overview) -> Iterator[pd.DataFrame]:
    if len(view.nets.rows):
        yield view.nets.rows


def _parts(view: Overview) -> Iterator[pd.DataFrame]:
    """Means over a rank's measured samples; the part "rest" is what the others leave of `step_s`."""
    for entry in view.nets.parts:
        rest = entry.rank_step_s - entry.rank_mean_s.sum(axis=0)
        for name, seconds in zip([*entry.names, "rest"], [*entry.rank_mean_s, rest]):
            table = pd.DataFrame(
                {
                    "case": entry.case,
                    "label": entry.label,
                    "rank": entry.ranks,
                    "part": name,
                    "mean_s": seconds,
                    "step_s": entry.rank_step_s,
                    "share": seconds / entry.rank_step_s,
                    "samples": entry.rank_samples,
                }
            )
            yield table[table["samples"] > 0]


def _layers(view: Overview) -> Iterator[pd.DataFrame]:
    for roofline in view.nets.layers:
        yield roofline.table


def _epochs(view: Overview) -> Iterator[pd.DataFrame]:
    """Epochs counted from 1, as the reports do."""
    for table in view.nets.epochs:
        yield table.rows.assign(case=table.case, label=table.label, epoch=table.rows["epoch"] + 1)


def _studies(view: Overview) -> Iterator[pd.DataFrame]:
    for study in view.nets.studies:
        yield study.rows.assign(series=study.series, launch=study.launch, occupancy=study.occupancy)


PART_COLUMNS = ["case", "label", "rank", "part", "mean_s", "step_s", "share", "samples"]
EPOCH_COLUMNS = ["case", "label", "epoch", "rank", "host", *DERIVED]
NETS: Dict[str, Tuple[List[str], Callable[[Overview], Iterator[pd.DataFrame]]]] = {
    "networks.csv": (NET_COLUMNS, _networks),
    "parts.csv": (PART_COLUMNS, _parts),
    "layers.csv": (LAYER_COLUMNS, _layers),
    "epochs.csv": (EPOCH_COLUMNS, _epochs),
    "studies.csv": (["series", "launch", "occupancy", *STUDY_COLUMNS], _studies),
}


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
