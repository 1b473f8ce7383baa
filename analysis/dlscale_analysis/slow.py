# SPDX-License-Identifier: BSD-3-Clause
"""Which switches, nodes, devices and ranks are slow, why, since when, and which nodes to exclude.

One launch names (slow_judge.py); a second one that agrees makes it a proposal to exclude. docs/slow-nodes.md derives the
bounds and gives the rates measured.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from .casestats import CaseStats
from .load import Run
from .slow_causes import Cause, cause_of
from .slow_history import Step, steps
from .slow_judge import Judged, judge
from .slow_measures import COMPUTE, LATE
from .slow_pairs import Slower, slower_of_two
from .slow_remarks import remarks_of, text_of_slower
from .slow_units import LEVELS
from .slow_verdict import Named, Verdict

AGREES = 0.01  # level of the one test by which another launch confirms a unit already named


@dataclass(eq=False)
class Record:
    """A launch of a file."""

    number: int  # index of the file
    path: str
    started: str
    judged: Judged
    causes: Dict[Tuple[str, str], Cause] = field(
        default_factory=dict
    )  # (level, key) of what is named here
    counts: Dict[Tuple[str, str], int] = field(default_factory=dict)
    pairs: List[Slower] = field(default_factory=list)


def find_slow(runs: Sequence[Run], stats: Sequence[Dict[int, CaseStats]]) -> Verdict:
    """Judges every launch of `runs`, `stats` being read_cases() of each, and puts them together by time."""
    records = [
        record for number, run in enumerate(runs) for record in judge_file(number, run, stats[number])
    ]
    return put_together(runs, records)


def put_together(runs: Sequence[Run], records: Sequence[Record]) -> Verdict:
    """What the launches of `runs`, which may be closed, say by time. `records`: judge_file() of each."""
    by_time = sorted(
        records, key=lambda record: (record.started, record.number, record.judged.launch)
    )
    records, twice = _each_once(by_time)
    named = _over_launches(records)
    found = (
        steps(runs, [(record.number, record.judged) for record in records]) if len(records) > 3 else []
    )
    _add_history(named, found, records)
    order = {level: index for index, level in enumerate(LEVELS)}
    named.sort(key=lambda entry: (order[entry.level], -entry.excess / max(entry.bound, 1e-12)))
    tested: Dict[str, int] = {}
    for record in records:
        for level, count in record.judged.tested.items():
            tested[level] = tested.get(level, 0) + count
    hosts = {host for record in records for host in record.judged.layout.hosts}
    most = max((len(record.judged.layout.ranks) for record in records), default=0)
    remarks = twice + remarks_of(runs, records, named)
    return Verdict(named, remarks, tested, len(records), len(hosts), most)


def _each_once(records: List[Record]) -> Tuple[List[Record], List[str]]:
    """Records without launches that are there twice, and a remark for each of those: a launch in a copy of its file, or in the
    file that resumed it, does not agree with itself."""
    seen: Dict[bytes, Record] = {}
    kept, remarks = [], []
    for record in records:
        samples = hashlib.sha256()
        for measure in record.judged.measures:
            samples.update(measure.ranks.tobytes() + measure.values.tobytes())
        first = seen.setdefault(samples.digest(), record)
        if first is record or not record.judged.measures or first.number == record.number:
            kept.append(record)
        else:
            remarks.append(f"{where(record)} has the samples of {where(first)}: counted once")
    return kept, remarks


def judge_file(number: int, run: Run, stats: Dict[int, CaseStats]) -> List[Record]:
    """Each launch of a file by itself; `number` is the file's among those that are put together."""
    starts = dict(zip(run.launches["launch"].astype(int), run.launches["started"].astype(str)))
    result = []
    for launch in sorted(set(run.ranks["launch"].astype(int))):
        judged = judge(run, stats, launch)
        started = starts.get(launch) or str(run.attrs.get("started", ""))
        record = Record(number, run.path, started, judged)
        by_unit: Dict[Tuple[str, int], list] = {}
        for entry in judged.findings:
            by_unit.setdefault((entry.level, entry.unit), []).append(entry)
        for (level, unit), found in by_unit.items():
            key = level, judged.layout.groups[level].keys[unit]
            record.causes[key] = cause_of(run, judged, found)
            record.counts[key] = len(found)
        record.pairs = slower_of_two(run, stats, judged)
        result.append(record)
    return result


def _over_launches(records: List[Record]) -> List[Named]:
    """Units named in some launch and slow in the latest that had them."""
    named: List[Named] = []
    for level, key in dict.fromkeys(key for record in records for key in record.causes):
        there = [record for record in records if (level, key) in record.causes]
        kind = there[-1].causes[level, key].kind
        slow = [
            (record, (level, key) in record.causes or record.judged.check(level, key, kind, AGREES))
            for record in records
        ]
        compared = [(record, bool(answer)) for record, answer in slow if answer is not None]
        if compared[-1][1]:
            named.append(_named(level, key, there[-1], compared))
    nodes = [entry for entry in named if entry.level == "node"]
    named = [
        entry
        for entry in named
        if entry.level in ("node", "switch") or not any(_covers(node, entry) for node in nodes)
    ]
    named = _whole_nodes(named, records)
    for record in records[-1:]:
        named += _named_of_two(record)
    return named


def _whole_nodes(named: List[Named], records: List[Record]) -> List[Named]:
    """Where all devices or ranks of a node are named for one cause, it is the node: there are more of them than of nodes, so
    that they may pass a bound which their node does not."""
    groups: Dict[tuple, List[Named]] = {}
    for entry in named:
        if entry.level in ("device", "rank"):
            groups.setdefault((entry.path, entry.launch, entry.host, entry.cause), []).append(entry)
    for (path, launch, host, _), parts in groups.items():
        record = next(r for r in records if (r.path, r.judged.launch) == (path, launch))
        place = record.judged.layout
        ranks = {int(rank) for rank in place.ranks[place.host == place.hosts.index(host)]}
        if (
            len(parts) > 1
            and {rank for entry in parts for rank in entry.ranks} == ranks
            and len(place.hosts) > 2
        ):
            whole = sorted(parts, key=lambda entry: entry.excess)[(len(parts) - 1) // 2]
            details = whole.details + [f"all its {parts[0].level}s are slow"]
            own = {"level": "node", "name": host, "rank": -1, "ranks": sorted(ranks), "details": details}
            own["exclude"] = all(entry.exclude for entry in parts)
            named = [entry for entry in named if entry not in parts] + [replace(whole, **own)]
    return named


def _named(level: str, key: str, record: Record, compared: List[Tuple[Record, bool]]) -> Named:
    cause, judged = record.causes[level, key], record.judged
    group = judged.layout.groups[level]
    unit = group.keys.index(key)
    columns = np.flatnonzero(group.member == unit)
    own = [judged.measures[e.measure] for e in judged.findings if (e.level, e.unit) == (level, unit)]
    slow = [entry for entry, answer in compared if answer]
    streak = [entry for entry, answer in compared[_last_break(compared) :]]
    measure = judged.measures[cause.finding.measure]
    labels = [measure.label] + [m.label for m in own if m.kind == cause.kind]
    return Named(
        level=level,
        name=group.names[unit],
        host="" if level == "switch" else judged.layout.hosts[judged.layout.host[columns[0]]],
        rank=int(judged.layout.ranks[columns[0]]) if level == "rank" else -1,
        cause=cause.cause,
        pattern=cause.pattern,
        excess=cause.finding.excess,
        bound=cause.finding.bound,
        unit="s" if measure.scale == "s" else "",
        cases=list(dict.fromkeys(labels)),
        launches=[where(entry) for entry in slow],
        since=streak[0].started,
        since_run=streak[0].path,
        exclude=len(slow) > 1 and level != "switch",
        details=list(cause.details),
        path=record.path,
        launch=judged.launch,
        ranks=[int(rank) for rank in judged.layout.ranks[columns]],
        case_ids=sorted({m.case for m in own if m.case >= 0}),
    )


def _covers(node: Named, entry: Named) -> bool:
    """Does a node named by another launch say it already? One of the same launch was taken off before."""
    same = (node.path, node.launch) == (entry.path, entry.launch)
    return not same and (node.host, node.cause) == (entry.host, entry.cause)


def where(record: Record) -> str:
    return f"{record.path}, launch {record.judged.launch}"


def _last_break(compared: List[Tuple[Record, bool]]) -> int:
    """Index behind the last launch in which the unit was not slow."""
    return max((i + 1 for i, (_, answer) in enumerate(compared) if not answer), default=0)


def _named_of_two(record: Record) -> List[Named]:
    """The slower of two units, where its own roof or a late no-op speaks against it; never excluded on that alone."""
    judged, result = record.judged, []
    for unit in {entry.unit for entry in record.pairs if entry.fault}:
        own = [entry for entry in record.pairs if entry.unit == unit and entry.fault]
        best = max(own, key=lambda entry: (entry.measure.kind != LATE, entry.excess / entry.bound))
        group = judged.layout.groups[best.level]
        columns = np.flatnonzero(group.member == unit)
        result.append(
            Named(
                level=best.level,
                name=group.names[unit],
                host=judged.layout.hosts[judged.layout.host[columns[0]]],
                rank=int(judged.layout.ranks[columns[0]]) if best.level == "rank" else -1,
                cause=best.measure.kind,
                pattern="steady",
                excess=best.excess,
                bound=best.bound,
                unit="s" if best.measure.scale == "s" else "",
                cases=list(dict.fromkeys(entry.measure.label for entry in own)),
                launches=[where(record)],
                since=record.started,
                since_run=record.path,
                exclude=False,
                details=[text_of_slower(best)],
                path=record.path,
                launch=judged.launch,
                ranks=[int(rank) for rank in judged.layout.ranks[columns]],
                case_ids=sorted({entry.measure.case for entry in own if entry.measure.case >= 0}),
                by="a no-op" if best.fault == "no-op" else "its own roof",
            )
        )
    return result


def _add_history(named: List[Named], found: List[Step], records: List[Record]) -> None:
    """Steps of units: a date for those that are named already, a name for the others."""
    by_unit: Dict[Tuple[str, str], List[Step]] = {}
    for step in found:
        by_unit.setdefault((step.level, step.key), []).append(step)
    for (level, key), own in sorted(by_unit.items(), key=lambda item: LEVELS.index(item[0][0])):
        own.sort(key=lambda step: (step.kind != COMPUTE, -step.excess / step.bound))
        best, first = own[0], records[own[0].first]
        known = _known(named, level, key, records)
        if known is not None:
            if first.started < known.since:
                known.since, known.since_run = first.started, first.path
            known.details.append(
                f"against its own history {100 * best.excess:+.1f} % since {first.started} ({best.label})"
            )
            continue
        having = [record for record in records if record.judged.has(level, key)]
        last = having[-1]
        group = last.judged.layout.groups[level]
        columns = np.flatnonzero(group.member == group.keys.index(key))
        host = last.judged.layout.hosts[last.judged.layout.host[columns[0]]]
        if level == "rank" and any(entry.host == host and entry.level == "node" for entry in named):
            continue
        after = [record for record in having if records.index(record) >= best.first]
        named.append(
            Named(
                level=level,
                name=group.names[group.keys.index(key)],
                host=host,
                rank=int(last.judged.layout.ranks[columns[0]]) if level == "rank" else -1,
                cause=best.kind,
                pattern="steady",
                excess=best.excess,
                bound=best.bound,
                unit="",
                cases=list(dict.fromkeys(step.label for step in own)),
                launches=[where(record) for record in after],
                since=first.started,
                since_run=first.path,
                exclude=best.launches > 1,
                details=["against its own history"],
                path=last.path,
                launch=last.judged.launch,
                ranks=[int(rank) for rank in last.judged.layout.ranks[columns]],
                by="its history",
            )
        )


def _known(named: List[Named], level: str, key: str, records: List[Record]) -> Optional[Named]:
    for entry in named:
        groups = next(
            r.judged.layout.groups
            for r in records
            if r.path == entry.path and r.judged.launch == entry.launch
        )
        if entry.level == level and level in groups and key in groups[level].keys:
            if groups[level].names[groups[level].keys.index(key)] == entry.name:
                return entry
    return None
