# SPDX-License-Identifier: BSD-3-Clause
"""What is inside a repetition: its parts, and its layers against the roofline.

Means over measured samples and ranks, because means add and medians don't. Times are seconds per repetition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np
import pandas as pd

from .casestats import CaseStats, usable
from .load import Run
from .samples import PIECE, Samples
from .units import percent

LOW_SHARE = 0.5  # of its bound, below which a piece is named
FLOP_BOUND, MEMORY_BOUND = "FLOP", "memory"
LAYER_COLUMNS = [
    "case",
    "piece",
    "mean_s",
    "share",
    "flops",
    "bytes",
    "flop_rate",
    "byte_rate",
    "intensity",
    "bound",
    "bound_s",
    "of_bound",
    "of_bound_worst",
    "worst_rank",
]


@dataclass
class Stretches:
    """The disjoint stretches (parts or layers) of one case's repetitions."""

    case: int
    label: str
    names: List[str]
    ranks: np.ndarray  # [p] world ranks
    rank_mean_s: np.ndarray  # [piece, p] mean over the rank's measured samples; NaN where it has none
    rank_step_s: np.ndarray  # [p] mean of the same samples
    rank_samples: np.ndarray  # [p] their number

    @property
    def count(self) -> int:
        """Samples of all ranks."""
        return int(self.rank_samples.sum())

    @property
    def mean_s(self) -> np.ndarray:
        """[piece] mean over all samples of all ranks."""
        return np.nansum(self.rank_mean_s * self.rank_samples, axis=1) / max(1, self.count)

    @property
    def step_s(self) -> float:
        return float(np.nansum(self.rank_step_s * self.rank_samples)) / max(1, self.count)

    @property
    def rest_s(self) -> float:
        """What the stretches leave of the repetition; negative when they exceed it."""
        return self.step_s - float(self.mean_s.sum())


def read_parts(samples: Samples, label: str) -> Optional[Stretches]:
    """The case's parts; None when it has none or nothing was measured."""
    return _read(samples, label, samples.part_names, samples.parts)


def read_layers(samples: Samples, label: str) -> Optional[Stretches]:
    """The case's layers; None when it has none or nothing was measured."""
    return _read(samples, label, samples.layer_names, samples.layers)


def _read(samples: Samples, label: str, names: List[str], array) -> Optional[Stretches]:  # type: ignore[no-untyped-def]
    """Sums over measured samples, some at a time. A sample counts where it has any stretch; one that is missing beside
    others took no time."""
    sums = np.zeros((len(names), samples.participants))
    steps, counts = np.zeros(samples.participants), np.zeros(samples.participants, dtype=int)
    if not names or not samples.rows:
        return None
    for rows in samples.row_pieces(max(1, PIECE // len(names))):
        values = array(rows)
        if values.shape[2] < len(names):
            return None
        seconds = samples.seconds(rows, measured=True)
        good = np.isfinite(seconds) & np.isfinite(values).any(axis=2)
        values = np.where(good[:, :, None], np.nan_to_num(values), 0.0)
        sums += (values[:, :, : len(names)] / samples.repeats[rows, None, None]).sum(axis=0).T
        steps += np.where(good, seconds, 0.0).sum(axis=0)
        counts += good.sum(axis=0)
    if not counts.any():
        return None
    divisor = np.where(counts > 0, counts, np.nan)
    return Stretches(samples.case, label, names, samples.ranks, sums / divisor, steps / divisor, counts)


def find_roof(
    run: Run, stats: Dict[int, CaseStats], case: pd.Series, workload: str
) -> Optional[CaseStats]:
    """The roof of this workload for this case: one that it names, else one of the same launch with as many threads
    (and for `fma` the same type), as it was measured with as many ranks at work where there is a choice.
    """
    listed = [int(roof) for roof in case["results"].get("roofs", []) if isinstance(roof, (int, float))]
    fitting = []
    for _, row in run.cases[run.cases["workload"] == workload].iterrows():
        roof = int(row["id"])
        if (
            roof not in stats
            or roof == int(case["id"])
            or row["launch"] != case["launch"]
            or row["threads"] != case["threads"]
            or not usable(row)
            or not stats[roof].time.count
        ):
            continue
        if roof in listed or workload != "fma" or row["dtype"] == case["dtype"]:
            fitting.append((roof not in listed, row["occupancy"] != case["occupancy"], roof))
    return stats[min(fitting)[2]] if fitting else None


def roof_rates(roof: Optional[CaseStats], ranks: np.ndarray) -> np.ndarray:
    """Rate of each of `ranks` in the roof's case; NaN where it has none."""
    if roof is None:
        return np.full(len(ranks), np.nan)
    return pd.Series(roof.work / roof.rank_s, index=roof.ranks).reindex(ranks).to_numpy(dtype=float)


@dataclass
class Roofline:
    """The layers of one case against the roofs of the same ranks."""

    case: int
    label: str
    table: pd.DataFrame  # LAYER_COLUMNS, in the order of the file
    step_s: float
    count: int
    fma_rate: float  # FLOP/s, median over ranks; NaN when not measured
    triad_rate: float  # B/s
    fma_case: int  # −1 when not measured
    triad_case: int
    fma_dtype: str
    threads: int

    @property
    def longest(self) -> pd.DataFrame:
        return self.table.sort_values("mean_s", ascending=False, kind="stable")

    @property
    def low(self) -> pd.DataFrame:
        """Pieces below LOW_SHARE of their bound, the most time lost first."""
        rows = self.table[self.table["of_bound"].round(4) < LOW_SHARE]
        lost = rows["mean_s"] * (1 - rows["of_bound"])
        return rows.loc[lost.sort_values(ascending=False, kind="stable").index]

    @property
    def sentences(self) -> List[str]:
        return [
            f"{row.piece} reaches {percent(row.of_bound, int(row.of_bound >= 0.495))} of its {row.bound} bound "
            f"({percent(row.share, 1)} of the step)"
            for row in self.low.itertuples()
        ]

    @property
    def missing(self) -> str:
        """Which roof is not there; empty when both are."""
        lacking = [
            name for name, case in (("fma", self.fma_case), ("triad", self.triad_case)) if case < 0
        ]
        return " and ".join(lacking)


def read_roofline(
    run: Run, stats: Dict[int, CaseStats], case: pd.Series, label: str
) -> Optional[Roofline]:
    """Layers with their rates and bounds; None when the case has no layers. A bound is the least time that the same
    rank's roofs allow: max(flops / fma, bytes / triad)."""
    samples = run.samples(int(case["id"]))
    found = read_layers(samples, label)
    if found is None:
        return None
    fma, triad = (find_roof(run, stats, case, name) for name in ("fma", "triad"))
    rates = roof_rates(fma, found.ranks), roof_rates(triad, found.ranks)
    rows = []
    for index, name in enumerate(found.names):
        flops, moved = float(samples.layer_flops[index]), float(samples.layer_bytes[index])
        mean = float(found.mean_s[index])
        row = {
            "case": found.case,
            "piece": name,
            "mean_s": mean,
            "share": mean / found.step_s,
            "flops": flops,
            "bytes": moved,
            "flop_rate": flops / mean if flops > 0 and mean > 0 else np.nan,
            "byte_rate": moved / mean if moved > 0 and mean > 0 else np.nan,
            "intensity": flops / moved if flops > 0 and moved > 0 else np.nan,
        }
        row.update(_bound(flops / rates[0], moved / rates[1], found.rank_mean_s[index], found.ranks))
        rows.append(row)
    case_of = [-1 if roof is None else roof.id for roof in (fma, triad)]
    return Roofline(
        found.case,
        label,
        pd.DataFrame(rows, columns=LAYER_COLUMNS),
        found.step_s,
        found.count,
        _median(rates[0]),
        _median(rates[1]),
        case_of[0],
        case_of[1],
        str(run.case(case_of[0])["dtype"]) if fma is not None else "",
        int(case["threads"]),
    )


def _bound(by_flops: np.ndarray, by_bytes: np.ndarray, mean: np.ndarray, ranks: np.ndarray) -> dict:
    """The bound of one piece: least seconds by either roof [p], measured seconds [p]."""
    least = np.fmax(by_flops, by_bytes)
    shares = np.divide(least, mean, out=np.full(least.shape, np.nan), where=np.nan_to_num(mean) > 0)
    shares[~(least > 0)] = np.nan
    if not np.isfinite(shares).any():
        return {
            "bound": "",
            "bound_s": np.nan,
            "of_bound": np.nan,
            "of_bound_worst": np.nan,
            "worst_rank": -1,
        }
    flop_s, byte_s = (np.nan_to_num(_median(values), nan=-1.0) for values in (by_flops, by_bytes))
    worst = int(np.nanargmin(shares))
    return {
        "bound": FLOP_BOUND if flop_s >= byte_s else MEMORY_BOUND,
        "bound_s": _median(least),
        "of_bound": _median(shares),
        "of_bound_worst": float(shares[worst]),
        "worst_rank": int(ranks[worst]),
    }


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")
