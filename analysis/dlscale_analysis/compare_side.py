# SPDX-License-Identifier: BSD-3-Clause
"""Two sides of runs compared case by case: rows with verdicts, what is left out and why, what else differs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import List, Sequence, Set, Tuple

import numpy as np

from .compare_cases import Identity, Launched, Pair, match, read_pair
from .compare_facts import Difference, differences, mixed
from .compare_stats import LEAST_BLOCKS, SpeedRatio, holm, speed_ratio, verdicts
from .load import Run
from .places import oversubscribed
from .units import percent, plural

FEW = 4  # degrees of freedom from which launches tell something: three on each side
MIXED = 6  # facts named in which the launches of one side differ


@dataclass
class Side:
    """Runs that are to be the same but for chance."""

    name: str  # A | B
    runs: List[Run]

    @property
    def launches(self) -> int:
        return sum(len(run.launches) for run in self.runs)


@dataclass
class Row:
    """One quantity of one case."""

    label: str
    identity: Identity
    quantity: str
    unit: str
    rate_a: float
    rate_b: float
    ratio: SpeedRatio
    ends: Tuple[float, float]  # own interval of the ratio, NaN without one
    p: float  # as SpeedRatio.p_value()
    p_holm: float = math.nan
    verdict: str = ""


@dataclass
class Comparison:
    a: Side
    b: Side
    delta: float
    confidence: float
    rows: List[Row] = field(default_factory=list)
    left_out: List[Tuple[str, str]] = field(default_factory=list)  # cases of both sides: label, why
    failed_in_b: List[str] = field(default_factory=list)  # labels
    lonely: List[Tuple[str, str]] = field(default_factory=list)  # label, side
    differences: List[Difference] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)

    def count(self, word: str) -> int:
        return sum(row.verdict == word for row in self.rows)

    @property
    def one_launch_note(self) -> str:
        half = percent(self.delta / 2, 1)
        return (
            "within one launch of each side: how much launches differ is not known, so these words hold "
            f"for these two launches. Only beyond ±{percent(self.delta, 1)} it says FASTER or SLOWER, only "
            f"inside ±{half} SAME. Launch each side three times or more to compare what the sides are."
        )


def compare(
    a: Sequence[Run],
    b: Sequence[Run],
    delta: float,
    confidence: float,
    ignored: Set[str],
    only: Sequence[str],
) -> Comparison:
    """Reads the samples of all cases that both sides have."""
    found = Comparison(Side("A", list(a)), Side("B", list(b)), delta, confidence)
    matched = match(a, b, ignored, only)
    for pair in matched.pairs:
        read_pair(pair)
        found.notes += pair.notes
        if pair.failed_in_b:
            found.failed_in_b.append(pair.label)
        if pair.why:
            found.left_out.append((pair.label, pair.why))
        else:
            found.rows += _rows(pair, confidence, delta)
    judged = [row for row in found.rows if row.ratio.freedom]
    for row, adjusted in zip(judged, holm([row.p for row in judged])):
        row.p_holm = float(adjusted)
    for row, word in zip(found.rows, verdicts([row.ratio for row in found.rows], delta, confidence)):
        row.verdict = word
    found.lonely = matched.lonely
    found.differences = differences(a, b)
    found.notes += matched.notes + _notes(found)
    return found


def _rows(pair: Pair, confidence: float, delta: float) -> List[Row]:
    """A row per quantity that all launches have."""
    launched = [one for side in "AB" for one in pair.launched[side]]
    rows = []
    for name in launched[0].block_s:
        if not all(name in one.block_s for one in launched):
            continue
        # Seconds per FLOP, byte or image: equal work cancels, that of an ignored key is accounted for.
        a, b = ([_per_work(one, name) for one in pair.launched[side]] for side in "AB")
        ratio = speed_ratio(a, b)
        shown = [
            value if launched[0].unit == "s" else 1 / value
            for value in (ratio.seconds_a, ratio.seconds_b)
        ]
        p = ratio.p_value(delta) if ratio.freedom else math.nan
        rows.append(
            Row(
                pair.label,
                pair.identity,
                name,
                launched[0].unit,
                *shown,
                ratio,
                ratio.ends(confidence),
                p,
            )
        )
    return rows


def _per_work(one: Launched, name: str) -> np.ndarray:
    return one.block_s[name] / one.work if np.isfinite(one.work) else one.block_s[name]


def _notes(found: Comparison) -> List[str]:
    """What puts verdicts in doubt."""
    texts = []
    short = [row for row in found.rows if row.ratio.one_launch and not row.ratio.freedom]
    if short:
        texts.append(
            f"{plural(len(short), 'comparison')} with fewer than {LEAST_BLOCKS} blocks on a side: "
            "no interval"
        )
    few = [row for row in found.rows if not row.ratio.one_launch and row.ratio.freedom < FEW]
    if few:
        widths = [math.log(row.ends[1] / row.ends[0]) / 2 for row in few]
        freedom = min(row.ratio.freedom for row in few)
        texts.append(
            f"few launches ({freedom + 2} on both sides together): intervals span "
            f"±{percent(float(np.median(widths)), 1)} (median over the cases); "
            "three or more of each side tell more"
        )
    if any(
        not row.ratio.one_launch and 1 in (row.ratio.launches_a, row.ratio.launches_b)
        for row in found.rows
    ):
        texts.append(
            "one side has a single launch: its launches are taken to scatter as much as those of the "
            "other side"
        )
    for side in (found.a, found.b):
        names = mixed(side.runs)
        if names:
            more = f" and {len(names) - MIXED} more" if len(names) > MIXED else ""
            texts.append(f"the launches of {side.name} are not alike: {', '.join(names[:MIXED])}{more}")
        for run in side.runs:
            if any(oversubscribed(run).values()):
                texts.append(
                    f"{run.path}: ranks fight for processors (oversubscribed); its times say little"
                )
            if run.status != "completed":
                texts.append(f"{run.path}: the run's status is '{run.status}'")
    return texts
