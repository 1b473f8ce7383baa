# SPDX-License-Identifier: BSD-3-Clause
"""What is known of a unit that is named, and what all files together say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Set, Tuple


@dataclass
class Named:
    """A unit to look at. `excess` and `bound` are relative to its equals' time, or seconds where `unit` is "s"."""

    level: str  # switch | node | device | rank
    name: str
    host: str
    rank: int  # −1 above the rank
    cause: str  # compute | memory | link | late arrival | throttling
    pattern: str  # steady | intermittent
    excess: float
    bound: float
    unit: str
    cases: List[str]
    launches: List[str]  # "FILE, launch N" in which it is slow
    since: str  # start of the first of those without a break up to the last
    since_run: str
    exclude: bool
    details: List[str]
    path: str
    launch: int
    ranks: List[int] = field(default_factory=list)  # its ranks in that launch
    case_ids: List[int] = field(default_factory=list)
    by: str = "equals"  # equals | its own roof | a no-op | its history


@dataclass
class Verdict:
    """What all files together say."""

    named: List[Named]
    remarks: List[str]  # what could not be judged, and why
    tested: Dict[str, int]  # units × measures of each level
    launches: int
    nodes: int
    ranks: int

    @property
    def tests(self) -> int:
        """Comparisons with equals; 0 where nobody has two of them."""
        return sum(self.tested.values())

    @property
    def exclude(self) -> str:
        """Slurm host list of the nodes proposed for `--exclude=`."""
        return host_list({entry.host for entry in self.named if entry.exclude})

    def ranks_in(self, case: int) -> List[int]:
        """Ranks named, alone or with their node, for this case: what figures mark."""
        return sorted({rank for e in self.named if case in e.case_ids for rank in e.ranks})


def host_list(hosts: Set[str]) -> str:
    """Slurm's short form: {"n1", "n2", "n3", "m"} → "m,n[1-3]"."""
    families: Dict[Tuple[str, int], List[int]] = {}
    plain: List[str] = []
    for host in sorted(hosts):
        head = host.rstrip("0123456789")
        tail = host[len(head) :]
        if not tail:
            plain.append(host)
        else:  # numbers of one width belong together; without leading zeros width does not matter
            families.setdefault((head, len(tail) if tail[0] == "0" else 0), []).append(int(tail))
    for (head, width), numbers in sorted(families.items()):
        spans: List[List[int]] = []
        for number in sorted(numbers):
            if spans and number == spans[-1][1] + 1:
                spans[-1][1] = number
            else:
                spans.append([number, number])
        texts = [f"{a:0{width}d}" + (f"-{b:0{width}d}" if b > a else "") for a, b in spans]
        one = len(texts) == 1 and spans[0][0] == spans[0][1]
        plain.append(head + (texts[0] if one else f"[{','.join(texts)}]"))
    return ",".join(sorted(plain))
