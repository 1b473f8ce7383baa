# SPDX-License-Identifier: BSD-3-Clause
"""What terminal and page say alike beside the tables of networks: denominators, what ± is, what is left out."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import numpy as np
import pandas as pd

from .epochs import HARDWARE, Epochs, Study
from .nets import ConvSum, fma_note
from .steps import Roofline, Stretches
from .units import MISSING, counted, digits, percent, plural, quantity

COUNTERS = (
    "Counters: of the process with all its threads, summed over the training steps of an epoch (validation "
    "is not in them), mean over epochs and ranks; k, M, G, T = 10³, 10⁶, 10⁹, 10¹²."
)
CACHE_NOTE = (
    "More than 100 % is possible: tensors that stay in the cache are read faster than the triad's bandwidth, "
    "and Winograd convolutions need fewer multiplications than are counted."
)


HALF_WIDTH = "±: half the interval over the median."
INTERVAL = "[ ]: interval of the median from block medians; …: spread of fewer than six blocks."


def of_rows(rows: pd.DataFrame, cases: pd.DataFrame, interval: str) -> List[str]:
    """Beside the table of training and inference, which shows this kind of interval."""
    texts = [f"time: median of a step (train) or a batch (infer). {interval}"]
    texts += ["GFLOP/s: FLOP of a repetition / that time."] if rows["flop_rate"].notna().any() else []
    roofs = fma_note(rows, cases)
    if roofs:
        listed = ", ".join(
            f"{roof['label']} ({quantity(roof['rate'], roof['unit'], 4)})" for roof in roofs
        )
        texts.append(
            f"fma: share of the same rank's FMA roof with as many threads, same launch: {listed}."
        )
    counts = rows.loc[rows["p99_samples"] > 0, "p99_samples"].astype(int)
    if len(counts):
        n = (
            f"{counts.min():,}"
            if counts.min() == counts.max()
            else f"{counts.min():,} to {counts.max():,}"
        )
        texts.append(
            f"p99: 99th percentile (nearest rank) of the measured samples of all ranks, n = {n}."
        )
        if (rows.loc[rows["p99_samples"] > 0, "repeats"] > 1).any():
            texts.append("A sample of several repetitions is their mean, so its p99 is too small.")
        if counts.min() < 100:
            texts.append("Of fewer than 100 samples it is the largest.")
    other = rows[(rows["fma_case"] >= 0) & ~rows["dtype"].isin([roof["dtype"] for roof in roofs])]
    if len(other):
        texts.append(
            f"{', '.join(sorted(set(other['dtype'])))} has no FMA roof of its own and is held against that."
        )
    if rows["synthetic"].any():
        texts.append(
            "*: synthetic data (a drawn set, or random images made in memory), no published set."
        )
    return texts


def of_parts(group: List[Stretches]) -> List[str]:
    """Under the table of parts."""
    texts = ["Shares of the mean step; rest: what no part covers."]
    idle = [name for i, name in enumerate(group[0].names) if not any(e.mean_s[i] > 0 for e in group)]
    texts += [f"Zero everywhere: {', '.join(idle)}."] if idle else []
    over = [str(entry.case) for entry in group if entry.rest_s < -0.005 * entry.step_s]
    texts += [f"The parts of case {', '.join(over)} exceed its samples."] if over else []
    return texts


def of_layers(roofline: Roofline) -> List[str]:
    """Under the table of layers."""
    pieces = float(roofline.table["mean_s"].sum())
    texts = [
        f"Means over {plural(roofline.count, 'sample')} of all ranks; the pieces cover "
        f"{percent(pieces / roofline.step_s, 1)} of the step ({quantity(roofline.step_s, 's')})."
    ]
    if roofline.missing:
        texts.append(
            f"Not measured in this launch with {plural(roofline.threads, 'thread')}: {roofline.missing}"
            + ("." if roofline.missing in ("fma", "triad") else ", so there are no bounds.")
        )
    roofs = []
    if roofline.fma_case >= 0:
        roofs.append(f"FLOP / fma {roofline.fma_dtype} ({quantity(roofline.fma_rate, 'FLOP/s')})")
    if roofline.triad_case >= 0:
        roofs.append(f"bytes / triad ({quantity(roofline.triad_rate, 'B/s')})")
    if roofs:
        least = f"the larger of {' and '.join(roofs)}" if len(roofs) > 1 else roofs[0]
        texts.append(
            f"reached: least time / time, median over ranks; least time: {least} of the same rank, "
            "operands counted once."
        )
        texts.append(CACHE_NOTE)
    return texts


def over_ranks(epochs: Epochs) -> str:
    return f"median over {plural(epochs.ranks, 'rank')}" if epochs.ranks > 1 else ""


def epoch_columns(epochs: Epochs, brief: bool = False) -> Dict[str, Callable[[pd.Series], str]]:
    """Title → text of a row of by_epoch, for the columns that this case has; `brief` leaves one out for width."""

    def seconds(name: str) -> Callable[[pd.Series], str]:
        return lambda row: quantity(row[name], "s", 4 if row[name] >= 100 else 3)

    columns: Dict[str, Callable[[pd.Series], str]] = {}
    for name, title in (("train", "train"), ("validate", "validate"), ("cpu", "CPU time")):
        if epochs.has(name):
            columns[title] = seconds(name)
    if epochs.rows["cpus"].notna().any():
        columns["CPUs"] = lambda row: number(row["cpus"])
    if epochs.has("stall"):
        columns["stall"] = seconds("stall")
    if epochs.rows["images_per_s"].notna().any():
        columns["images/s"] = lambda row: number(row["images_per_s"], 4)
    if epochs.has("loss"):
        columns["loss"] = lambda row: number(row["loss"], 4)
    if epochs.has("test_loss") and not brief:
        columns["test loss"] = lambda row: number(row["test_loss"], 4)
    if epochs.has("test_accuracy"):
        columns["accuracy"] = lambda row: percent(row["test_accuracy"], 2)
    return columns


def number(value: float, significant: int = 3) -> str:
    return digits(value, significant) if np.isfinite(value) else MISSING


def speedup(row: Any) -> str:
    """ "1.84 ± 0.04"; the first row is 1 by definition."""
    if not np.isfinite(row.speedup):
        return MISSING
    spread = f" ± {row.speedup_deviation:.2f}" if np.isfinite(row.speedup_deviation) else ""
    return f"{row.speedup:.2f}{spread}"


def of_study(study: Study) -> List[str]:
    """Under the table of a study."""
    texts = [
        "Epoch time: training and validation, mean ± sample standard deviation (n − 1) over epochs × ranks, none "
        "left out; hyperfine's ± is the same, perf stat's is a standard error (this over √n)."
    ]
    if study.base:
        texts.append(
            f"Speed-up: mean epoch time of the first row ({study.base}) / the row's, r = m₁/m, "
            "± r·√((s₁/m₁)² + (s/m)²)."
        )
    texts.append(
        "CPU time: per epoch; CPUs: CPU time / epoch time; accuracy: last epoch, median over ranks."
    )
    if study.occupancy not in ("", "together"):
        texts.append(f"Occupancy: {study.occupancy}.")
    return texts + [note[0].upper() + note[1:] + "." for note in study.notes]


def of_counters(study: Study) -> List[str]:
    """Under the table of a study's counters."""
    cover = study.rows.loc[study.rows[list(HARDWARE)].notna().any(axis=1), "counters_cover"].min()
    texts = [COUNTERS]
    if cover < 0.9995:
        texts.append(
            f"Steps without a reading are not in them: readings cover {percent(cover, 1)} or more."
        )
    return texts


def _ratio(row: Any, above: str, below: str) -> float:
    divisor = getattr(row, below)
    return getattr(row, above) / divisor if divisor and divisor > 0 else float("nan")


COUNTER_COLUMNS: Dict[str, Callable[[Any], str]] = {
    "cycles": lambda row: counted(row.cycles),
    "instr.": lambda row: counted(row.instructions),
    "per cycle": lambda row: number(_ratio(row, "instructions", "cycles")),
    "cache refs": lambda row: counted(row.cache_references),
    "misses": lambda row: counted(row.cache_misses),
    "of refs": lambda row: percent(_ratio(row, "cache_misses", "cache_references"), 1),
    "faults": lambda row: counted(row.page_faults),
}


def of_conv(conv: pd.DataFrame, cases: pd.DataFrame) -> List[str]:
    """Under the table of convolutions."""
    roofs = [name for name in dict.fromkeys(conv["roof"]) if name]
    texts = ["N batch, C channels, height × width, K filters, kernel, s stride, p padding, g groups."]
    if roofs:
        rates = {row.label: quantity(row.rate, row.unit, 4) for row in cases.itertuples()}
        listed = ", ".join(f"{name} ({rates[name]})" if name in rates else name for name in roofs)
        texts.append(f"Roof: the binding one of the same rank, same launch: {listed}.")
    texts += ["w: by Winograd's algorithm."] if (conv["chosen"] == "winograd").any() else []
    if (conv["share"] > 1).any():
        texts.append(CACHE_NOTE)
    return texts


def series_name(entry: ConvSum) -> str:
    words = [entry.series, entry.dtype, f"{entry.threads}t"]
    words += [] if entry.occupancy in ("", "together") else [entry.occupancy]
    words += [] if entry.algorithm in ("", "auto") else [entry.algorithm]
    return " ".join(words)


def of_total(entry: ConvSum, name: str) -> str:
    """ "94 cases", or "92 of 94 cases" where the sum lacks some."""
    done, total = entry.done[name], entry.total[name]
    return plural(total, "case") if done == total else f"{done} of {plural(total, 'case')}"
