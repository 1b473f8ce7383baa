# SPDX-License-Identifier: BSD-3-Clause
"""What a launch says about each of its ranks: one array [group of blocks, rank] per case and quantity.

A block's median is what a repetition usually takes; its mean also holds what bursts cost. Of pairs a rank's value is
the lower median over its partners, so that a partner's slow link is not its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List

import numpy as np
import pandas as pd

from .casestats import CaseStats, usable
from .clocks import common_clock
from .load import Run
from .places import oversubscribed
from .samples import Samples
from .stats import block_means, column_quantiles
from .units import case_labels

COMPUTE, MEMORY, LINK, LATE = "compute", "memory", "link", "late arrival"
KINDS = (COMPUTE, MEMORY, LINK, LATE)  # in the order in which one explains the next
THIRDS = 3  # groups of blocks, of which two must agree
OWN_PARTS = (
    "copy",
    "forward",
    "backward",
    "update",
)  # of a training step, without waiting for data or for others
LEAST_SKEW_CASE_S = 1e-3  # starts of shorter cases differ by the barrier in front of them


@dataclass
class Measure:
    """One quantity of one case. `scale`: "log" (logarithm of seconds), "s" (seconds), "share" (of the case's time)."""

    kind: str
    case: int
    label: str
    quantity: str  # median | mean | start
    scale: str
    ranks: np.ndarray  # [p] world ranks
    values: np.ndarray  # [block, p]


def measures(run: Run, launch: int, stats: Dict[int, CaseStats], nodes: int) -> List[Measure]:
    """All measures of one launch, from cases that count and have at least three blocks. Where ranks fight for
    processors only the no-op speaks of single ranks."""
    labels = case_labels(run.cases)
    crowded = oversubscribed(run).get(launch, False)
    found: List[Measure] = []
    for _, case in run.cases[run.cases["launch"] == launch].iterrows():
        own = stats.get(int(case["id"]))
        if own is None or not usable(case) or len(own.blocks) < THIRDS:
            continue
        if case["workload"] == "noop":
            found.append(
                Measure(LATE, own.id, labels[own.id], "median", "s", own.ranks, own.rank_block_s)
            )
        elif not crowded:
            found += _of_case(run, case, own, labels[own.id], nodes)
    return [measure for measure in found if np.isfinite(measure.values).any()]


def _of_case(run: Run, case: pd.Series, own: CaseStats, label: str, nodes: int) -> Iterator[Measure]:
    if case["workload"] == "pairwise":
        yield from _pairs(run, case, own, label)
    elif not own.distributed:
        kind = MEMORY if case["workload"] == "triad" else COMPUTE
        for quantity, seconds in (("median", own.rank_block_s), ("mean", own.rank_mean_s)):
            yield Measure(kind, own.id, label, quantity, "log", own.ranks, _log(seconds))
    else:
        if case["workload"] == "train":
            yield from _own_time(run, own, label)
        if nodes >= 8 and own.time.median >= LEAST_SKEW_CASE_S:
            yield from _starts(run, case, own, label)


def _log(seconds: np.ndarray) -> np.ndarray:
    return np.log(np.where(seconds > 0, seconds, np.nan))


def _blocks(samples: Samples, blocks: np.ndarray) -> Iterator[tuple]:
    """(rows that hold a block, which of them are its own), one block at a time."""
    for number in blocks:
        inside = np.flatnonzero(samples.block == number)
        rows = slice(int(inside[0]), int(inside[-1]) + 1)
        yield rows, samples.block[rows] == number


def _pairs(run: Run, case: pd.Series, own: CaseStats, label: str) -> Iterator[Measure]:
    """Exchange times of each rank, with partners on other nodes and on its own."""
    samples = run.samples(own.id)
    partners = samples.partners()
    rounds = min(len(partners), len(samples.layer_names))
    if not rounds or len(own.hosts) != samples.participants:
        return
    order = np.argsort(own.ranks)
    there = order[np.clip(np.searchsorted(own.ranks[order], partners[:rounds]), 0, len(order) - 1)]
    met = (partners[:rounds] >= 0) & (own.ranks[there] == partners[:rounds])
    host = pd.factorize(own.hosts)[0]
    inside = host[there] == host[None, :]
    shape = (len(own.blocks), samples.participants)
    found = {True: np.full(shape, np.nan), False: np.full(shape, np.nan)}
    for index, (rows, mine) in enumerate(_blocks(samples, own.blocks)):
        times = samples.layers(rows)[:, :, :rounds] / samples.repeats[rows, None, None]
        good = mine[:, None] & np.isfinite(samples.seconds(rows, measured=True))
        times = np.where(good[:, :, None], times, np.nan)
        medians = np.full((rounds, samples.participants), np.nan)
        for number in range(rounds):
            # Who comes first waits for the other: the smaller of the two times is the exchange itself.
            both = np.minimum(times[:, :, number], times[:, there[number], number])
            medians[number] = column_quantiles(both, (0.5,))[0]
        for same in found:
            chosen = met & (inside == same)
            found[same][index] = _lower_medians(np.where(chosen, medians, np.nan), there, chosen)
    for same, where in ((False, "between nodes"), (True, "inside a node")):
        yield Measure(LINK, own.id, f"{label} {where}", "median", "log", own.ranks, _log(found[same]))


def _lower_medians(values: np.ndarray, partner: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Lower median down each column [round, p]; NaN for ranks that met fewer than two partners."""
    ordered = np.sort(values, axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    picked = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None, :], axis=0)[0]
    first = np.where(chosen, partner, np.iinfo(int).max).min(axis=0)
    last = np.where(chosen, partner, -1).max(axis=0)
    return np.where((count > 1) & (first < last), picked, np.nan)


def _own_time(run: Run, own: CaseStats, label: str) -> Iterator[Measure]:
    """A training step without what its rank waits for."""
    samples = run.samples(own.id)
    parts = [index for index, name in enumerate(samples.part_names) if name in OWN_PARTS]
    if not parts:
        return
    shape = (len(own.blocks), samples.participants)
    median, mean = np.full(shape, np.nan), np.full(shape, np.nan)
    for index, (rows, mine) in enumerate(_blocks(samples, own.blocks)):
        seconds = samples.parts(rows)[:, :, parts].sum(axis=2) / samples.repeats[rows, None]
        good = mine[:, None] & np.isfinite(samples.seconds(rows, measured=True))
        seconds = np.where(good, seconds, np.nan)
        median[index] = column_quantiles(seconds, (0.5,))[0]
        mean[index] = block_means(seconds, np.zeros(len(seconds), dtype=int))[1][0]
    for quantity, values in (("median", median), ("mean", mean)):
        yield Measure(COMPUTE, own.id, f"{label}, own part", quantity, "log", own.ranks, _log(values))


def _starts(run: Run, case: pd.Series, own: CaseStats, label: str) -> Iterator[Measure]:
    """How late each rank starts, against the median rank of the same sample, as a share of the case's time. Left out
    where the clocks are not that exact."""
    samples = run.samples(own.id)
    clock = common_clock(run, case, samples.ranks)
    if clock.missing or clock.error_s > 0.01 * own.time.median:
        return
    values = np.full((len(own.blocks), samples.participants), np.nan)
    for index, (rows, mine) in enumerate(_blocks(samples, own.blocks)):
        start = samples.start_ns(rows)
        good = mine[:, None] & np.isfinite(samples.seconds(rows, measured=True))
        common = start + clock.shift(start)
        base = common[:, :1]  # apart, so that the difference keeps its nanoseconds
        late = np.where(good, 1e-9 * (common - base), np.nan)
        middle = column_quantiles(late.T, (0.5,))[0]
        values[index] = column_quantiles(late - middle[:, None], (0.5,))[0] / own.time.median
    yield Measure(LATE, own.id, f"{label}, start", "start", "share", own.ranks, values)
