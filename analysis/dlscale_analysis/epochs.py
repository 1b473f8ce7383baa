# SPDX-License-Identifier: BSD-3-Clause
"""Whole epochs: what each one took and reached, and how the cases of one series compare.

A block of such a case is one epoch with its validation; row i of its array is measured block i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

import numpy as np
import pandas as pd

from .casestats import CaseStats, is_distributed, verdict
from .load import Run
from .samples import Samples
from .units import IMAGES, percent, plural, short

DERIVED = {"epoch_s": "s", "cpus": "1", "images_per_s": IMAGES}  # beside the file's own columns
HARDWARE = (
    "cycles",
    "instructions",
    "cache_references",
    "cache_misses",
)  # counters that a host may lack
COUNTERS = (*HARDWARE, "page_faults")
LEAST_COVER = 0.95  # of a block's time, below which its sum of readings is not one of the block
STUDY_COLUMNS = [
    "case",
    "label",
    "ok",
    "why",
    "n",
    "mean_s",
    "deviation_s",
    "error_s",
    "train_s",
    "speedup",
    "speedup_deviation",
    "cpu_s",
    "cpus",
    "images_per_s",
    "last_accuracy",
    *COUNTERS,
    "counters_cover",
]
NOT_RECORDED = "not available (the file does not say why)"


@dataclass
class Epochs:
    """The epochs of one case."""

    case: int
    label: str
    rows: (
        pd.DataFrame
    )  # epoch (from 0), rank, host, the file's columns, DERIVED; one row per epoch and rank
    names: List[str]  # of the file's columns

    @property
    def count(self) -> int:
        return int(self.rows["epoch"].nunique())

    @property
    def ranks(self) -> int:
        return int(self.rows["rank"].nunique())

    @property
    def by_epoch(self) -> pd.DataFrame:
        """Per epoch the median over ranks of every column, and `slowest_s`, the largest epoch_s."""
        grouped = self.rows.groupby("epoch")
        table = grouped[self.names + list(DERIVED)].median()
        return table.assign(slowest_s=grouped["epoch_s"].max()).reset_index()

    def has(self, name: str) -> bool:
        return name in self.names and bool(self.rows[name].notna().any())


def read_epochs(run: Run, case: pd.Series, label: str) -> Optional[Epochs]:
    """The case's epochs; None when it has none yet."""
    samples = run.samples(int(case["id"]))
    values, names = samples.epochs(), samples.epoch_names
    if not names or not np.isfinite(values).any():
        return None
    hosts = run.hosts(int(case["launch"]))
    epoch, column = np.nonzero(np.isfinite(values).any(axis=2))
    frame = pd.DataFrame(values[epoch, column, : len(names)], columns=names)
    frame.insert(0, "epoch", epoch)
    frame.insert(1, "rank", samples.ranks[column])
    frame.insert(2, "host", [str(hosts.get(rank, "?")) for rank in samples.ranks[column]])
    nothing = pd.Series(np.nan, index=frame.index)
    train, images = frame.get("train", nothing), frame.get("images", nothing)
    frame["epoch_s"] = train + frame.get("validate", nothing).fillna(0)
    frame["cpus"] = frame.get("cpu", nothing) / frame["epoch_s"].where(frame["epoch_s"] > 0)
    frame["images_per_s"] = images / train.where(train > 0)
    return Epochs(int(case["id"]), label, frame, names)


@dataclass
class Study:
    """Cases of one series with epochs, held against the first of them."""

    series: str
    launch: int
    occupancy: str
    rows: pd.DataFrame  # STUDY_COLUMNS, in the order of the file
    base: str  # label of the row that speed-ups are against; empty when there is none
    why: str  # why hardware counters are missing; empty when every row has some
    notes: List[str] = field(default_factory=list)

    @property
    def counters(self) -> List[str]:
        return [name for name in COUNTERS if self.rows[name].notna().any()]

    @property
    def values(self) -> str:
        """How many values stand behind a mean: "20" or "12 to 20"."""
        counts = self.rows.loc[self.rows["n"] > 0, "n"]
        if counts.empty:
            return "0"
        return str(counts.min()) if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"


def ratio_with_deviation(first_mean: float, first_s: float, mean: float, s: float) -> tuple:
    """first / mean and its standard deviation r·√((s₁/m₁)² + (s/m)²), as hyperfine has it."""
    if not (first_mean > 0 and mean > 0):
        return math.nan, math.nan
    ratio = first_mean / mean
    return ratio, ratio * math.hypot(first_s / first_mean, s / mean)


def studies(run: Run, stats: Dict[int, CaseStats], tables: Dict[int, Epochs]) -> List[Study]:
    """One study per series, launch and occupancy with at least two cases that have epochs. Not of those whose ranks
    train together: an epoch is then one value for all, and a rank has a share of its images. Scaling curves have them.
    """
    found = []
    together = np.array([is_distributed(case) for _, case in run.cases.iterrows()], dtype=bool)
    cases = run.cases[(run.cases["series"] != "") & ~together]
    others = run.cases[together & run.cases["id"].isin(list(tables))]
    for (launch, series, occupancy), group in cases.groupby(
        ["launch", "series", "occupancy"], sort=False
    ):
        there = [int(case) in tables for case in group["id"]]
        if sum(there) > 1:
            study = _study(run, tables, group[there], int(launch), str(series), str(occupancy))
            if not there[0]:
                study.notes.append(
                    f"the first case of the series (case {group['id'].iloc[0]}) has no epochs"
                )
            left = int(((others["series"] == series) & (others["launch"] == launch)).sum())
            if left:
                study.notes.append(f"left out: {plural(left, 'case')} whose ranks train together")
            found.append(study)
    return found


def _study(
    run: Run, tables: Dict[int, Epochs], group: pd.DataFrame, launch: int, series: str, occupancy: str
) -> Study:
    labels = _row_labels(group)
    rows = pd.DataFrame(
        [
            _row(run, case, tables[int(case["id"])], labels[int(case["id"])])
            for _, case in group.iterrows()
        ],
        columns=STUDY_COLUMNS,
    )
    first = rows.iloc[0]
    base = str(first["label"]) if first["ok"] and first["n"] else ""
    for index, row in rows.iterrows():
        if base and row["ok"]:
            ratio, deviation = ratio_with_deviation(
                first["mean_s"], first["deviation_s"], row["mean_s"], row["deviation_s"]
            )
            rows.loc[index, "speedup"] = ratio
            rows.loc[index, "speedup_deviation"] = (
                math.nan if row["case"] == first["case"] else deviation
            )
    study = Study(series, launch, occupancy, rows, base, "", [])
    if not base:
        why = first["why"] or "no whole epoch"
        study.notes.append(f"no speed-up against the first case ({first['label']}: {why})")
    images = {
        round(tables[int(case)].rows["images"].median())
        for case in rows["case"]
        if tables[int(case)].has("images")
    }
    if len(images) > 1:
        study.notes.append(
            "the cases' epochs hold different numbers of images "
            f"({', '.join(f'{count:,}' for count in sorted(images))}): their times are of different work"
        )
    study.why = _why(run, launch, rows)
    return study


def _row_labels(group: pd.DataFrame) -> Dict[int, str]:
    """Those keys by which the cases differ: "batch=64 workers=0"; also type and threads if they do."""
    params = list(group["params"])
    keys = [
        key
        for key in dict.fromkeys(key for values in params for key in values)
        if len({repr(values.get(key)) for values in params}) > 1
    ]
    extra = [name for name in ("dtype", "threads") if name not in keys and group[name].nunique() > 1]
    labels = {}
    for _, case in group.iterrows():
        parts = [f"{key}={short(case['params'].get(key, '–'))}" for key in keys]
        parts += [f"{name}={case[name]}" for name in extra]
        labels[int(case["id"])] = " ".join(parts) or f"case {case['id']}"
    return labels


def _row(run: Run, case: pd.Series, epochs: Epochs, label: str) -> Dict[str, object]:
    """One case: mean and sample standard deviation over all its epochs and ranks, none left out."""
    kept = epochs.rows[epochs.rows["epoch_s"].notna()]
    seconds, n = kept["epoch_s"], len(kept)
    deviation = float(seconds.std(ddof=1)) if n > 1 else math.nan
    cpu = kept["cpu"] if epochs.has("cpu") else pd.Series(np.nan, index=kept.index)
    row: Dict[str, object] = {
        "case": int(case["id"]),
        "label": label,
        "ok": not verdict(case),
        "why": verdict(case),
        "n": n,
        "mean_s": float(seconds.mean()),
        "deviation_s": deviation,
        "error_s": deviation / math.sqrt(n) if n else math.nan,
        "train_s": float(kept["train"].mean()) if epochs.has("train") else math.nan,
        "speedup": math.nan,
        "speedup_deviation": math.nan,
        "cpu_s": float(cpu.mean()),
        "cpus": float(cpu.sum() / seconds.sum()) if cpu.notna().any() else math.nan,
        "images_per_s": float(kept["images_per_s"].mean()),
        "last_accuracy": math.nan,
    }
    if epochs.has("test_accuracy"):
        row["last_accuracy"] = float(epochs.by_epoch["test_accuracy"].dropna().iloc[-1])
    samples = run.samples(int(case["id"]))
    counted = {name: probe_per_block(samples, name) for name in COUNTERS}
    row.update({name: value for name, (value, _) in counted.items()})
    row["counters_cover"] = min(
        (cover for _, cover in counted.values() if cover == cover), default=math.nan
    )
    return row


def probe_per_block(samples: Samples, name: str) -> Tuple[float, float]:
    """Sum of one probe over the samples of a block and rank, mean over blocks and ranks, and the share of the samples'
    time that its readings cover. A block of which they cover less than LEAST_COVER is left out; NaN when all are, and
    then the share is the largest there is; (NaN, NaN) without the probe."""
    if name not in samples.probe_names or not samples.rows:
        return math.nan, math.nan
    index = samples.probe_names.index(name)
    blocks = np.unique(samples.block[samples.block >= 0])
    sums, covered, whole = (np.zeros((blocks.size, samples.participants)) for _ in range(3))
    for rows in samples.row_pieces():
        values = samples.probes(rows)[:, :, index]
        seconds = np.nan_to_num(samples.seconds(rows)) * samples.repeats[rows, None]
        inside = samples.block[rows] >= 0
        place = np.searchsorted(blocks, samples.block[rows])[inside]
        np.add.at(sums, place, np.nan_to_num(values[inside]))
        np.add.at(covered, place, np.where(np.isfinite(values), seconds, 0.0)[inside])
        np.add.at(whole, place, seconds[inside])
    there = whole > 0
    if not there.any():
        return math.nan, math.nan
    shares = covered[there] / whole[there]
    good = shares >= LEAST_COVER
    if not good.any():
        return math.nan, float(shares.max())
    return float(sums[there][good].mean()), float(shares[good].min())


def _why(run: Run, launch: int, rows: pd.DataFrame) -> str:
    """Why rows have no hardware counters: the launch's own words, or that there are too few readings."""
    bare = rows[rows[list(HARDWARE)].isna().all(axis=1)]
    if bare.empty:
        return ""
    names = {name for case in bare["case"] for name in run.samples(int(case)).probe_names}
    if names & set(HARDWARE):
        few = bare["counters_cover"].max()
        which = (
            "not available"
            if len(bare) == len(rows)
            else f"not available for {', '.join(bare['label'])}"
        )
        return (
            f"{which} (readings cover {percent(few)} of the steps' time at most: the program reads them only "
            "beside longer samples)"
        )
    facts = run.environment[launch] if launch < len(run.environment) else {}
    counters = facts.get("counters")
    text = counters.get("why") if isinstance(counters, dict) else None
    return str(text) if text else NOT_RECORDED
