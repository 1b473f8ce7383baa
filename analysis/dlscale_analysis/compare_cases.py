# SPDX-License-Identifier: BSD-3-Clause
"""Which cases of two sides are the same, and what each launch measured of them."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple

import numpy as np
import pandas as pd

from .casestats import CaseStats, read_case, verdict
from .load import Run, RunFileError
from .stats import block_medians, column_quantiles
from .units import RATE_UNITS, case_labels

# What a case is, beside its workload's keys. Not its device: two machines shall be comparable. Not series
# and role, which say what it is measured for.
IDENTITY = ("workload", "variant", "dtype", "occupancy", "placement", "engine", "ranks", "threads")
HARNESS = {"noop"}  # measures the program, not the machine
SLOWEST, MEDIAN, P95, ALONE = "slowest rank", "median rank", "p95 rank", "the rank"

Identity = Tuple[Any, ...]
LaunchKey = Tuple[str, int]  # file, launch


@dataclass
class Entry:
    """A row of a file's /cases."""

    run: Run
    case: pd.Series

    @property
    def launch(self) -> LaunchKey:
        return self.run.path, int(self.case["launch"])


@dataclass
class Launched:
    """A case as one launch measured it."""

    launch: LaunchKey
    block_s: Dict[str, np.ndarray]  # quantity → block medians [block], seconds per repetition
    unit: str
    work: float  # of a repetition and rank, in the rate's unit × s; NaN where the time is the result
    mode: str  # empty where it does not matter


@dataclass
class Pair:
    """A case that both sides have."""

    label: str
    identity: Identity
    entries: Dict[str, List[Entry]]  # "A", "B"
    launched: Dict[str, List[Launched]] = field(default_factory=dict)
    why: str = ""  # why it can't be compared
    failed_in_b: bool = False  # counted in A, failed in B
    notes: List[str] = field(default_factory=list)


@dataclass
class Matched:
    pairs: List[Pair]
    lonely: List[Tuple[str, str]]  # label, the side that has it
    notes: List[str]


def match(a: Sequence[Run], b: Sequence[Run], ignored: Set[str], only: Sequence[str]) -> Matched:
    """Cases of both sides, in the order of the files. `ignored`: keys that may differ; `only`: patterns,
    one of which must fit the label or the workload."""
    sides = {"A": _entries(a), "B": _entries(b)}
    known = {side: _keys(entries) for side, entries in sides.items()}
    common = {
        name: known["A"][name] & known["B"][name] for name in known["A"].keys() & known["B"].keys()
    }
    notes = _one_sided_keys(known)
    grouped: Dict[Identity, Dict[str, List[Entry]]] = {}
    for side, entries in sides.items():
        for entry in entries:
            key = identity(entry.case, common.get(entry.case["workload"]), ignored)
            grouped.setdefault(key, {"A": [], "B": []})[side].append(entry)
    labels = _labels(grouped)
    pairs: List[Pair] = []
    lonely: List[Tuple[str, str]] = []
    for key, found in grouped.items():
        if only and not _wanted(labels[key], key[0], only):
            continue
        if found["A"] and found["B"]:
            pairs.append(Pair(labels[key], key, found))
        else:
            lonely.append((labels[key], "A" if found["A"] else "B"))
    return Matched(pairs, lonely, notes)


def identity(case: pd.Series, keys: Optional[Set[str]], ignored: Set[str]) -> Identity:
    """What makes two cases the same; `keys`: those of `params` that count, None = all."""
    params = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in case["params"].items()
        if (keys is None or name in keys) and name not in ignored
    }
    own = (case[name] if name not in ignored else "" for name in IDENTITY)
    values = (int(value) if isinstance(value, np.integer) else value for value in own)
    return (*values, json.dumps(params, sort_keys=True))


def read_pair(pair: Pair) -> None:
    """Reads the samples of both sides and says why the pair can't be compared, if so."""
    pair.why = _ambiguous(pair)
    if pair.why:
        return
    failed: Dict[str, int] = {}
    for side, entries in pair.entries.items():
        found: Dict[LaunchKey, List[Launched]] = {}
        reasons = []
        for entry in entries:
            reason = verdict(entry.case)
            measured = None if reason else _launched(entry)
            if measured is not None:
                found.setdefault(entry.launch, []).append(measured)
            else:
                reasons.append((reason or "has no samples", str(entry.case["message"])))
        pair.launched[side] = [_joined(parts) for parts in found.values()]
        failed[side] = sum(reason == "failed" for reason, _ in reasons)
        if not found:
            reason, message = next((r for r in reasons if r[0] == "failed"), reasons[0])
            text = (
                reason if reason.startswith("has") else f"{reason}{f' ({message})' if message else ''}"
            )
            pair.why += f"{'; ' if pair.why else ''}{text} in {side}"
        elif failed[side]:
            pair.notes.append(
                f"{pair.label}: failed in {failed[side]} of {len(entries)} launches of {side}; "
                "those don't count"
            )
    ever_in_b = bool(pair.launched["B"])  # where A fails at times, B must have counted at least once
    pair.failed_in_b = bool(pair.launched["A"] and failed["B"] and not (failed["A"] and ever_in_b))
    if not pair.why:
        pair.why = _modes(pair)
    if not pair.why:
        _refuse_twice(pair)
        _work(pair)


def _ambiguous(pair: Pair) -> str:
    """Several cases of one side that differ in nothing but what is ignored are no launches of one case."""
    for side, entries in pair.entries.items():
        if len({identity(entry.case, None, set()) for entry in entries}) > 1:
            return f"{side} has several such cases that differ in what is ignored"
    return ""


def _entries(runs: Sequence[Run]) -> List[Entry]:
    return [
        Entry(run, case)
        for run in runs
        for _, case in run.cases.iterrows()
        if case["workload"] not in HARNESS
    ]


def _keys(entries: Iterable[Entry]) -> Dict[str, Set[str]]:
    """Names of the keys of each workload."""
    found: Dict[str, Set[str]] = {}
    for entry in entries:
        found.setdefault(entry.case["workload"], set()).update(entry.case["params"])
    return found


def _one_sided_keys(known: Dict[str, Dict[str, Set[str]]]) -> List[str]:
    """A key that another version of the program has can't tell cases apart; it is named."""
    texts = []
    for workload in known["A"].keys() & known["B"].keys():
        for side, other in (("A", "B"), ("B", "A")):
            more = sorted(known[side][workload] - known[other][workload])
            if more:
                texts.append(
                    f"{workload}: only {side} knows the keys {', '.join(more)}; they tell no cases apart"
                )
    return sorted(texts)


def _labels(grouped: Dict[Identity, Dict[str, List[Entry]]]) -> Dict[Identity, str]:
    """Short names that tell all cases of both sides apart."""
    rows = [(found["A"] or found["B"])[0].case for found in grouped.values()]
    if not rows:
        return {}
    table = pd.DataFrame(rows).assign(id=range(len(rows)))
    labels = case_labels(table)
    return {key: labels[index] for index, key in enumerate(grouped)}


def _wanted(label: str, workload: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in (label, workload))


def _launched(entry: Entry) -> Optional[Launched]:
    """None without a measured sample, or with times that no ratio can be made of."""
    stats = read_case(entry.run, int(entry.case["id"]))
    blocks = quantities(stats)
    if not blocks or any(not side.size or not (side > 0).all() for side in blocks.values()):
        return None
    together = stats.distributed and len(stats.ranks) > 1
    mode = str(entry.case["mode"]) if together else ""
    return Launched(entry.launch, blocks, RATE_UNITS[stats.kind], stats.work, mode)


def quantities(stats: CaseStats) -> Dict[str, np.ndarray]:
    """Block medians of what reports show of a case: the slowest rank of each sample where ranks work on one
    problem; else the median over ranks, and the rank at the 95th percentile (nearest rank) of their medians.
    """
    if stats.distributed:
        slowest = np.where(stats.sample_warm, np.nan, stats.sample_s[-1])
        return {SLOWEST: _finite(block_medians(slowest, stats.sample_block)[1])}
    if not np.isfinite(stats.rank_s).any():
        return {}
    middle = _finite(column_quantiles(stats.rank_block_s.T, (0.5,))[0])
    if np.isfinite(stats.rank_s).sum() == 1:
        return {ALONE: middle}
    level = np.nanquantile(stats.rank_s, 0.95, method="inverted_cdf")
    return {
        MEDIAN: middle,
        P95: _finite(stats.rank_block_s[:, int(np.nanargmin(np.abs(stats.rank_s - level)))]),
    }


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _joined(parts: List[Launched]) -> Launched:
    """A case that one launch measured more than once."""
    first = parts[0]
    if len(parts) == 1:
        return first
    blocks = {name: np.concatenate([part.block_s[name] for part in parts]) for name in first.block_s}
    modes = {part.mode for part in parts}
    return Launched(
        first.launch, blocks, first.unit, first.work, first.mode if len(modes) == 1 else "both"
    )


def _modes(pair: Pair) -> str:
    modes = {side: sorted({one.mode for one in launched}) for side, launched in pair.launched.items()}
    if len({mode for names in modes.values() for mode in names}) < 2:
        return ""
    said = {side: " and ".join(name or "unknown" for name in names) for side, names in modes.items()}
    return f"{said['A']} in A, {said['B']} in B: times of the two modes are never divided"


def _refuse_twice(pair: Pair) -> None:
    """A launch that is there twice, as copies of a file or in a resumed one, would pass for two."""
    seen: Dict[bytes, LaunchKey] = {}
    for launched in (one for side in pair.launched.values() for one in side):
        blocks = next(iter(launched.block_s.values()))
        other = seen.setdefault(blocks.tobytes(), launched.launch)
        if other != launched.launch and blocks.size > 1:
            raise RunFileError(
                f"{launched.launch[0]} and {other[0]} hold the same samples of {pair.label} "
                "(one is a copy of the other, or its resumed run); give each launch once"
            )


def _work(pair: Pair) -> None:
    work = [one.work for side in pair.launched.values() for one in side if np.isfinite(one.work)]
    if work and not np.allclose(work, work[0], rtol=1e-9):
        pair.notes.append(
            f"{pair.label}: a repetition is not the same work in A and B; rates are compared"
        )
