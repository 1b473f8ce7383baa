# SPDX-License-Identifier: BSD-3-Clause
"""What the samples of a case are made of, as means over ranks and samples (medians don't add).

Of every sample that all participants have: wall time T on the common clock, own duration d, time M blocked in
communication, and of it the time W until the last rank had arrived; and how far apart the ranks' starts lie. Seconds per repetition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np
import pandas as pd

from .clocks import common_clock
from .load import Run
from .samples import MEASURED, PIECE, Samples
from .stats import EMPTY, Interval, mean_interval

BLOCKED_PARTS = ("reduce", "mpi")  # parts that are time blocked in communication
ALL_COMMUNICATION = ("collective", "pairwise")  # workloads that do nothing else
ENTER, DONE = 1, 2  # columns of `buckets`
QUANTITIES = ("wall", "own", "blocked", "waiting", "least_blocked", "arrival")


@dataclass
class Bars:
    """Means over ranks and identical samples of one distributed case; s = those samples, p = participants."""

    case: int
    ranks: np.ndarray  # [p]
    hosts: np.ndarray  # [p]
    block: np.ndarray  # [s]
    values: Dict[str, np.ndarray]  # QUANTITIES → [s]
    rank_s: Dict[str, np.ndarray]  # "own", "blocked", "waiting" → [p] means over the samples
    last: (
        np.ndarray
    )  # [p] share of the samples in which the rank arrived last; NaN where that is not known
    part_names: List[str]
    rank_parts_s: np.ndarray  # [part, p]
    part_block_s: np.ndarray  # [part, block] mean over ranks and the block's samples
    clock_error_s: float
    notes: List[str]

    @property
    def count(self) -> int:
        return int(self.block.size)

    def mean(self, name: str) -> float:
        return float(self.values[name].mean()) if self.count else math.nan

    def has(self, name: str) -> bool:
        return bool(self.count and np.isfinite(self.values[name]).all())

    def blocks_of(self, values: np.ndarray) -> np.ndarray:
        """Mean of each block."""
        return np.array([values[self.block == number].mean() for number in np.unique(self.block)])

    def interval(self, values: np.ndarray) -> Interval:
        """Mean over all samples; the interval from the block means."""
        return mean_interval(float(values.mean()) if values.size else math.nan, self.blocks_of(values))

    def of(self, name: str) -> Interval:
        return self.interval(self.values[name])

    def part(self, name: str) -> Optional[Interval]:
        """A part of the sample; None where the case has no such part."""
        if name not in self.part_names:
            return None
        index = self.part_names.index(name)
        return mean_interval(float(self.rank_parts_s[index].mean()), self.part_block_s[index])


def read_bars(run: Run, case: pd.Series) -> Optional[Bars]:
    """The bars of a distributed case; None when no measured sample has all its participants. Made once per run and case:
    ledger, overlap and tables share them, and nobody changes them. A few numbers per sample and per rank."""
    number = int(case["id"])
    if number not in run.bars:
        run.bars[number] = _read(run, case)
    return run.bars[number]


def _read(run: Run, case: pd.Series) -> Optional[Bars]:
    samples = run.samples(int(case["id"]))
    clock = common_clock(run, case, samples.ranks)
    hosts = run.hosts(int(case["launch"]))
    pieces: List[Dict[str, np.ndarray]] = []
    width = max(1, len(samples.part_names), 3 * len(samples.bucket_bytes))
    for rows in samples.row_pieces(max(1, PIECE // width)):
        piece = _piece(samples, rows, clock.shift, str(case["workload"]))
        if piece["block"].size:
            pieces.append(piece)
    if not pieces:
        return None
    block = np.concatenate([piece["block"] for piece in pieces])
    weights = np.array([piece["block"].size for piece in pieces], dtype=float)

    def over_samples(name: str) -> np.ndarray:
        return np.average([piece["rank_" + name] for piece in pieces], axis=0, weights=weights)

    parts = np.concatenate([piece["parts"] for piece in pieces])
    notes = []
    if clock.missing:
        notes.append(f"no clock offset of node {clock.missing[0]}: its times are taken as they are")
    return Bars(
        int(case["id"]),
        samples.ranks,
        np.array([str(hosts.get(rank, "?")) for rank in samples.ranks], dtype=object),
        block,
        {name: np.concatenate([piece[name] for piece in pieces]) for name in QUANTITIES},
        {name: over_samples(name) for name in ("own", "blocked", "waiting")},
        over_samples("last"),
        samples.part_names,
        over_samples("parts").T,
        np.array([parts[block == number].mean(axis=0) for number in np.unique(block)]).T,
        clock.error_s,
        notes,
    )


def local_time(run: Run, case_id: int, ranks: np.ndarray) -> Interval:
    """Mean over these ranks (over all, where none of them was measured) of the means of their samples; the interval
    from the blocks' means."""
    samples = run.samples(case_id)
    seconds = samples.seconds(measured=True)
    columns = np.isin(samples.ranks, ranks) & np.isfinite(seconds).any(axis=0)
    if not columns.any():
        columns = np.isfinite(seconds).any(axis=0)
    if not columns.any():
        return EMPTY
    kept = seconds[:, columns]
    numbers = [number for number in np.unique(samples.block) if number >= 0]
    blocks = np.array(
        [
            np.nanmean(kept[samples.block == n])
            for n in numbers
            if np.isfinite(kept[samples.block == n]).any()
        ]
    )
    return mean_interval(float(np.nanmean(kept, axis=0).mean()), blocks)


def _piece(samples: Samples, rows: slice, shift, workload: str) -> Dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """Some samples: those that were measured on all participants."""
    start, stop = samples.start_ns(rows), samples.stop_ns(rows)
    kept = (samples.phase(rows) == MEASURED) & (start >= 0) & (stop >= start)
    whole = kept.all(axis=1) if kept.size else np.zeros(len(kept), dtype=bool)
    start, stop = start[whole], stop[whole]
    repeats = samples.repeats[rows][whole].astype(float)
    moved = start + shift(start)
    own = 1e-9 * (stop - start)
    late = 1e-9 * (moved - moved.min(axis=1, keepdims=True)) if len(moved) else np.zeros(own.shape)
    wall = (late + own).max(axis=1, initial=0.0)
    parts = samples.parts(rows)[whole]
    blocked = _blocked(samples, parts, own, workload)
    waiting = np.full(own.shape, np.nan)
    if workload in ALL_COMMUNICATION:
        waiting = arrival_waiting(late, own)
    elif samples.bucket_bytes.size and (repeats == 1).all():
        waiting = bucket_waiting(late, samples.buckets(rows)[whole], blocked)
    each = repeats[:, None]
    mean = {"own": own / each, "blocked": blocked / each, "waiting": waiting / each}
    return {
        "block": samples.block[rows][whole],
        "wall": wall / repeats,
        "arrival": late.max(axis=1, initial=0.0) / repeats,
        **{name: values.mean(axis=1) for name, values in mean.items()},
        "least_blocked": (blocked / each).min(axis=1, initial=np.inf),
        **{"rank_" + name: _over_samples(values) for name, values in mean.items()},
        "rank_last": _last(waiting),
        "parts": (parts / each[:, :, None]).mean(axis=1),
        "rank_parts": _over_samples(parts / each[:, :, None]),
    }


def _over_samples(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=0) if len(values) else values.sum(axis=0)


def _last(waiting: np.ndarray) -> np.ndarray:
    """[p] share of samples in which the rank was the last to arrive: the one that waited least."""
    if not len(waiting) or np.isnan(waiting).any():
        return np.full(waiting.shape[1], np.nan)
    return np.bincount(waiting.argmin(axis=1), minlength=waiting.shape[1]) / len(waiting)


def _blocked(samples: Samples, parts: np.ndarray, own: np.ndarray, workload: str) -> np.ndarray:
    """Seconds of each sample blocked in communication; NaN where the case does not say."""
    if workload in ALL_COMMUNICATION:
        return own
    for name in BLOCKED_PARTS:
        if name in samples.part_names and parts.shape[2]:
            return parts[:, :, samples.part_names.index(name)]
    return np.full(own.shape, np.nan)


def arrival_waiting(late: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Collectives: from a rank's start until the last rank's. `late` = seconds behind the first [sample, rank].
    Never more than the rank's own time, whatever the clocks say."""
    return np.minimum(late.max(axis=1, keepdims=True, initial=0.0) - late, own)


def bucket_waiting(late: np.ndarray, buckets: np.ndarray, blocked: np.ndarray) -> np.ndarray:
    """Of the seconds that the main thread was blocked, those spent before the last rank had entered the reduction that
    was under way. Reductions finish in order, and the main thread's wait ends with the last of them: it covers the
    `blocked` seconds before. Arguments [sample, rank], [sample, rank, bucket, 3], [sample, rank]."""
    enter, done = buckets[..., ENTER], buckets[..., DONE]
    if not done.shape[2]:
        return np.full(blocked.shape, np.nan)
    # When the last rank entered each bucket, on every rank's own time of the sample.
    arrival = (late[:, :, None] + enter).max(axis=1, keepdims=True) - late[:, :, None]
    end = done.max(axis=2)
    begin = (end - blocked)[:, :, None]
    previous = np.full(done.shape, -np.inf)
    previous[..., 1:] = np.maximum.accumulate(done, axis=2)[..., :-1]
    first = np.maximum(np.maximum(enter, previous), begin)
    waited = np.minimum(arrival, done) - first
    return np.minimum(np.where(np.isnan(waited), np.nan, np.maximum(waited, 0)).sum(axis=2), blocked)
