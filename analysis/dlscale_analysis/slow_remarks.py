# SPDX-License-Identifier: BSD-3-Clause
"""The verdict in words: who is named and why, and what could not be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Sequence

import numpy as np

from .load import Run
from .places import oversubscribed
from .slow_bounds import FEW_SIGMA, FEWEST, LEAST_OF_FEW
from .slow_pairs import Slower
from .slow_units import FEWEST_NODES
from .units import percent, plural, quantity

if TYPE_CHECKING:
    from .slow import Record
    from .slow_verdict import Named, Verdict

SLOW_AT = {
    "compute": "slow compute",
    "memory": "slow memory",
    "link": "slow link",
    "late arrival": "late arrival",
    "throttling": "throttling",
}
METHOD = (
    "Each unit against the median of its slot (same local rank and hardware) on other nodes; named when beyond max(3 %, "
    "the bound of a family-wise chance of 1 % per launch) in two of three groups of blocks; proposed for exclusion "
    "when a second launch agrees. docs/slow-nodes.md"
)


def amount(value: float, unit: str, sign: bool = True) -> str:
    """ "+12.0 %", "1.00 ms"."""
    if unit == "s":
        return quantity(value, "s")
    return f"{100 * value:+.1f} %" if sign else f"{100 * value:.1f} %"


def sentence(entry: "Named") -> str:
    """ "node n3: slow compute, +66.7 % (bound 21.0 %) in gemm 256³ f64 and 3 more"."""
    cases = entry.cases[0] + (f" and {len(entry.cases) - 1} more" if len(entry.cases) > 1 else "")
    name = entry.name if entry.level in ("rank", "device") else f"{entry.level} {entry.name}"
    host = (
        f" (host {entry.host})" if entry.level in ("rank", "device") and entry.host not in name else ""
    )
    burst = ", in bursts" if entry.pattern == "intermittent" else ""
    return (
        f"{name}{host}: {SLOW_AT[entry.cause]}{burst}, {amount(entry.excess, entry.unit)} "
        f"(bound {amount(entry.bound, entry.unit, False)}) in {cases}"
    )


def since(entry: "Named", launches: int) -> str:
    """Since when, in how many launches, and what to do."""
    text = f"since {entry.since or 'an unknown time'}"
    text += f" ({entry.since_run})" if entry.since_run != entry.path else ""
    text += f"; slow in {len(entry.launches)} of {plural(launches, 'launch')}"
    if not entry.exclude and entry.level != "switch":
        text += "; run again: a second launch must agree before it is excluded"
    return text


def text_of_slower(entry: Slower) -> str:
    """How the slower one of two was told from the other."""
    return {
        "own roof": "slower of two, and below the other in its share of its own roof",
        "no-op": "slower of two, and late with nothing to do",
        "": "slower of two",
    }[entry.fault]


def remarks_of(runs: Sequence[Run], records: List["Record"], named: List["Named"]) -> List[str]:
    """What could not be judged, and why; each said once."""
    texts: List[str] = []
    for record in records:
        texts += _of_launch(runs[record.number], record, named)
    hosts = {entry.host for entry in named}
    for key in dict.fromkeys(key for record in records for key in record.causes):
        level, name = key
        there = [record for record in records if key in record.causes]
        kind = there[-1].causes[key].kind
        later = records[records.index(there[-1]) + 1 :]
        answers = [a for a in (r.judged.check(level, name, kind, 0.01) for r in later) if a is not None]
        if answers and not answers[-1] and name not in hosts:
            texts.append(
                f"{level} {name} was slow ({kind}) in the launch of {there[-1].started}, and is not in the latest"
            )
    return list(dict.fromkeys(texts))


def _of_launch(run: Run, record: "Record", named: List["Named"]) -> List[str]:
    judged, place = record.judged, record.judged.layout
    if len(place.ranks) < 2:
        return ["one rank has no equals: give several files of it, and it is compared with its history"]
    texts = []
    if oversubscribed(run).get(judged.launch, False):
        texts.append(
            "more threads than processors: ranks take each other's time, so that only the no-op was judged"
        )
    if not judged.measures:
        return texts + ["no case counts that has three blocks or more: nothing was judged"]
    nodes = len(place.hosts)
    known = {entry.name for entry in named}
    for entry in record.pairs:
        name = place.groups[entry.level].names[entry.unit]
        if not entry.fault and name not in known:
            texts.append(
                f"{name} is slower than the other by {amount(entry.excess, '')} in {entry.measure.label}: of two "
                "nobody can tell which one is at fault"
            )
    if nodes == 1 and len(place.ranks) > 2:
        texts.append("one node: its ranks were compared with each other, the node with nothing")
    elif nodes <= 2:
        units = "two nodes" if nodes == 2 else "two ranks"
        texts.append(
            f"{units}: they were compared, but have no majority; history or a third one tells more"
        )
    elif judged.units.get("node", 0) < FEWEST:
        texts.append(
            f"{nodes} nodes, fewer than {FEWEST}: their own spread is no scale, so that {percent(FEW_SIGMA)} (standard "
            f"deviation) is assumed, and nodes are named from {percent(LEAST_OF_FEW)} on; earlier files of them show less"
        )
    alone = _without_equals(record)
    if alone and nodes >= FEWEST_NODES:
        texts.append(
            f"{plural(alone, 'rank')} of {len(place.ranks)} have no equals on two other nodes: not judged"
        )
    return texts


def _without_equals(record: "Record") -> int:
    """Ranks that were measured and compared in nothing."""
    judged, place = record.judged, record.judged.layout
    seen = np.zeros(len(place.ranks), dtype=bool)
    for measure in judged.measures:
        seen[place.columns(measure.ranks)] = True
    counts = np.bincount(place.slot[seen], minlength=1)
    return int(sum(count for count in counts if 0 < count < FEWEST_NODES))


def nobody(verdict: "Verdict") -> str:
    """Said where nobody is named. Where nothing could be judged it must not sound like praise."""
    return "nobody is named" if verdict.tests else "nobody could be judged by equals"


def lines(verdict: "Verdict") -> List[str]:
    """Everything for a terminal, a paragraph per entry; continued lines are indented."""
    texts = []
    for entry in verdict.named:
        texts.append("• " + sentence(entry))
        texts += ["  " + text for text in entry.details]
        texts.append("  " + since(entry, verdict.launches))
    return texts
