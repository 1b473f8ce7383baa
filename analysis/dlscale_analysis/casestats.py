# SPDX-License-Identifier: BSD-3-Clause
"""What one case's samples say, rank by rank and sample by sample; read in pieces so that any size fits in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List

import numpy as np
import pandas as pd

from .load import Run
from .samples import Samples
from .stats import (
    Interval,
    block_means,
    block_medians,
    column_half_widths,
    column_quantiles,
    median_interval,
)

SAMPLE_LEVELS = (0.0, 0.05, 0.5, 0.95, 1.0)
PER_RANK = {"noop", "gemm", "fma", "triad", "conv2d", "infer"}
RATE_KINDS = {
    "gemm": "flops",
    "fma": "flops",
    "pdgemm": "flops",
    "conv2d": "flops",
    "train": "images",
    "infer": "images",
    "triad": "bytes",
    "noop": "time",
    "collective": "bus",
    "pairwise": "bus",
}


@dataclass
class CaseStats:
    """Times are seconds per repetition, measured samples only unless said otherwise. p = participants."""

    id: int
    kind: str  # flops | bytes | images | bus | time: what its rate is made of
    distributed: bool
    work: float  # FLOP, bytes or images per repetition and rank; NaN for time
    ranks: np.ndarray  # [p] world ranks
    hosts: np.ndarray  # [p]
    blocks: np.ndarray  # [b] numbers of the blocks
    rank_block_s: np.ndarray  # [b, p] block medians of each rank
    rank_mean_s: np.ndarray  # [b, p] block means of each rank: what bursts cost, which medians don't see
    rank_s: np.ndarray  # [p] median of each rank's block medians
    rank_half_width: (
        np.ndarray
    )  # [p] relative half-width of each rank's interval; NaN with fewer than six blocks
    time: Interval  # the case's time, as docs/metrics.md defines it, with its interval
    sample_s: np.ndarray  # [SAMPLE_LEVELS, sample] over ranks, warm-ups included
    sample_block: np.ndarray  # [sample]
    sample_warm: np.ndarray  # [sample] is it a warm-up
    repeats: int  # median executions per sample
    measured: int  # samples of the rank that has most
    traces: Dict[str, np.ndarray]  # "slowest", "median": [sample] of that rank, warm-ups included

    @property
    def slowest(self) -> int:
        """Index of the participant with the largest median; −1 without samples."""
        return int(np.nanargmax(self.rank_s)) if np.isfinite(self.rank_s).any() else -1

    @property
    def fastest(self) -> int:
        return int(np.nanargmin(self.rank_s)) if np.isfinite(self.rank_s).any() else -1

    @property
    def middle(self) -> int:
        """Index of the participant whose median is nearest to the median over ranks; −1 without samples."""
        if np.isfinite(self.rank_s).sum() < 3:
            return self.fastest  # of two, the one that is not the slowest
        return int(np.nanargmin(np.abs(self.rank_s - np.nanmedian(self.rank_s))))

    def rate(self, seconds: float) -> float:
        """Per rank FLOP/s, B/s or images/s of this time; the time itself for kind "time"."""
        if self.kind == "time":
            return seconds
        return self.work / seconds if seconds > 0 else float("nan")


def rate_kind(case: pd.Series) -> str:
    """What this case's rate is made of; a workload unknown here is judged by the work it declares."""
    known = RATE_KINDS.get(case["workload"])
    if known == "images" and not case["items"] > 0:
        known = None  # a file that does not count them
    if known == "bus" and not case["bytes_sent"] > 0:
        known = "time"  # one rank sends nothing
    return known or ("flops" if case["flops"] > 0 else "time")


def is_distributed(case: pd.Series) -> bool:
    """Do all participants work on one problem? Per-rank cases have no placement."""
    return case["workload"] not in PER_RANK and case["placement"] != ""


def verdict(case: pd.Series) -> str:
    """Why the times of a case count for nothing, neither as a rate nor as a roof nor in a ratio: "failed" (so did one
    whose check did), "skipped" (with samples all the same, if it was interrupted and measured again by a later launch);
    empty where they count."""
    if case["status"] == "failed" or case["check_passed"] == 0:
        return "failed"
    return "skipped" if case["status"] == "skipped" else ""


def usable(case: pd.Series) -> bool:
    return not verdict(case)


def read_case(run: Run, case_id: int) -> CaseStats:
    """Reads and reduces one case. Its time is the median over blocks of: the median over ranks of their block medians
    for per-rank cases; the block's median of the slowest rank of each sample for distributed ones."""
    case, samples = run.case(case_id), run.samples(case_id)
    hosts = run.hosts(int(case["launch"]))
    kind, distributed = rate_kind(case), is_distributed(case)
    per_rank = _per_rank(samples)
    maxima, sample_s = _per_sample(samples)
    warm = _warm(samples)
    blocks = per_rank["blocks"]
    rank_s = column_quantiles(per_rank["block_s"], (0.5,))[0]
    if distributed:
        time = median_interval(block_medians(np.where(warm, np.nan, maxima), samples.block)[1])
    else:
        time = median_interval(column_quantiles(per_rank["block_s"].T, (0.5,))[0])
    stats = CaseStats(
        id=case_id,
        kind=kind,
        distributed=distributed,
        work={
            "flops": float(case["flops"]),
            "bytes": float(case["bytes_touched"]),
            "images": float(case["items"]),
            "bus": float(case["bytes_sent"]),
        }.get(kind, float("nan"))
        / (max(1, samples.participants) if distributed else 1),
        ranks=samples.ranks,
        hosts=np.array([str(hosts.get(rank, "?")) for rank in samples.ranks], dtype=object),
        blocks=blocks,
        rank_block_s=per_rank["block_s"],
        rank_mean_s=per_rank["mean_s"],
        rank_s=rank_s,
        rank_half_width=column_half_widths(per_rank["block_s"]),
        time=time,
        sample_s=sample_s,
        sample_block=np.asarray(samples.block),
        sample_warm=warm,
        repeats=int(np.median(samples.repeats)) if samples.rows else 0,
        measured=int(per_rank["measured"]),
        traces={},
    )
    for name, index in (("slowest", stats.slowest), ("median", stats.middle)):
        if index >= 0:
            stats.traces[name] = samples.seconds(columns=slice(index, index + 1))[:, 0]
    return stats


def read_cases(run: Run) -> Dict[int, CaseStats]:
    """All cases that have samples."""
    found = ((int(case_id), run.samples(int(case_id)).rows) for case_id in run.cases["id"])
    return {case_id: read_case(run, case_id) for case_id, rows in found if rows}


def _per_rank(samples: Samples) -> Dict[str, np.ndarray]:
    """Block medians of each rank, some participants at a time."""
    blocks = np.unique(samples.block[samples.block >= 0]) if samples.rows else np.empty(0, dtype=int)
    block_s: List[np.ndarray] = [np.empty((blocks.size, 0))]
    mean_s: List[np.ndarray] = [np.empty((blocks.size, 0))]
    measured = 0
    for columns in samples.column_pieces():
        seconds = samples.seconds(columns=columns, measured=True)
        block_s.append(block_medians(seconds, samples.block)[1])
        mean_s.append(block_means(seconds, samples.block)[1])
        measured = max(measured, int(np.isfinite(seconds).sum(axis=0).max(initial=0)))
    return {
        "blocks": blocks,
        "block_s": np.concatenate(block_s, axis=1),
        "mean_s": np.concatenate(mean_s, axis=1),
        "measured": np.asarray(measured),
    }


def _per_sample(samples: Samples) -> tuple:
    """Largest time of each sample over its ranks, and quantiles over ranks; some samples at a time."""
    levels: List[np.ndarray] = [np.empty((len(SAMPLE_LEVELS), 0))]
    for rows in samples.row_pieces():
        levels.append(column_quantiles(samples.seconds(rows=rows).T, SAMPLE_LEVELS))
    joined = np.concatenate(levels, axis=1)
    return joined[SAMPLE_LEVELS.index(1.0)], joined


def _warm(samples: Samples) -> np.ndarray:
    """Samples in which no rank was measured."""
    warm = np.ones(samples.rows, dtype=bool)
    for rows in samples.row_pieces():
        warm[rows] = ~(samples.phase(rows) == 1).any(axis=1)
    return warm
