# SPDX-License-Identifier: BSD-3-Clause
"""Which ranks and hosts are slow, first form.

Per case, a rank's block medians are compared with the median over ranks of the same hardware, in three separate
thirds of the blocks. It is named when it is slower by more than max(3 %, 5 scaled MADs of those ranks) in at least two
of the three. For the no-op case the difference is absolute: beyond 10 × the spread. With two ranks there is no
majority: the slower one is named as such, and only its share of its own roof can tell which is at fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np
import pandas as pd

from .casestats import CaseStats, usable
from .load import Run
from .places import oversubscribed
from .stats import column_quantiles, scaled_mad
from .summary import roof_bounds
from .units import plural, quantity, signed_percent

LEAST_EFFECT = 0.03  # smaller differences are not worth a name
MADS = 5.0  # false alarms of normal values: 3e-7 per third
NOOP_SPREADS = 10.0
NOOP_LEAST_S = 1e-6  # a clock reading more or less is no slow rank
THIRDS, NEEDED = 3, 2

FINDING_COLUMNS = ["case", "rank", "host", "excess", "excess_s", "thirds", "group", "at_fault"]


@dataclass
class SlowRank:
    """One rank over all cases. `excess`: median relative excess over the cases in which it was named."""

    rank: int
    host: str
    named: int
    judged: int
    excess: float
    noop_s: float  # excess of the no-op case in seconds; NaN when not named there
    workloads: List[str]
    slower_of_two: bool
    at_fault: str  # with two ranks: "own roof" | "no-op" | "unclear"; empty otherwise
    launch: int

    @property
    def stands_out(self) -> bool:
        """Slow in at least half of the cases it was judged in, or late in the no-op: what the headline counts."""
        return bool(2 * self.named >= self.judged and self.named) or bool(np.isfinite(self.noop_s))

    def sentence(self) -> str:
        """ "rank 3 (host n7): 5 of 6 cases slower, median +12.0 %" and what goes with it."""
        parts = []
        if self.named:
            parts.append(
                f"{self.named} of {plural(self.judged, 'case')} slower"
                f", median {signed_percent(self.excess)}"
            )
        if np.isfinite(self.noop_s):
            parts.append(f"no-op {quantity(self.noop_s, 's')} longer")
        text = f"rank {self.rank} (host {self.host}): " + "; ".join(parts)
        if self.slower_of_two:
            text += {
                "own roof": "; slower of two, and below the other in its share of its own roof",
                "no-op": "; slower of two, and late with nothing to do",
                "unclear": "; slower of two (two ranks can't tell which one is at fault)",
            }[self.at_fault]
        return text


@dataclass
class SlowHost:
    """A host all of whose ranks are named; `excess`: the median of theirs."""

    host: str
    launch: int
    ranks: int
    excess: float

    def sentence(self) -> str:
        return (
            f"host {self.host}: all its {self.ranks} ranks are slow, median {signed_percent(self.excess)}; "
            "look at the node, not at the ranks"
        )


def find(run: Run, stats: Dict[int, CaseStats]) -> pd.DataFrame:
    """One row per case and named rank: excess (relative, over the ranks of the same hardware), excess_s (seconds per
    repetition), thirds in which it was slow, group (ranks compared), at_fault (two ranks only)."""
    rows: List[dict] = []
    crowded = oversubscribed(run)
    for case_id, case_stats in stats.items():
        case = run.case(case_id)
        if not _judgeable(case, case_stats, crowded):
            continue
        hardware = _hardware(run, int(case["launch"]), case_stats.ranks)
        for kind in np.unique(hardware):
            members = np.flatnonzero((hardware == kind) & np.isfinite(case_stats.rank_s))
            rows += _judge(case, case_stats, members, run, stats)
    return pd.DataFrame(rows, columns=FINDING_COLUMNS)


def judged_cases(run: Run, stats: Dict[int, CaseStats]) -> pd.DataFrame:
    """Which ranks could be judged in which case: columns launch, case, rank (no-op cases left out)."""
    pieces = [pd.DataFrame({"launch": [], "case": [], "rank": []}, dtype=int)]
    crowded = oversubscribed(run)
    for case_id, found in stats.items():
        case = run.case(case_id)
        fit = len(found.blocks) >= THIRDS and _judgeable(case, found, crowded)
        present = found.ranks[np.isfinite(found.rank_s)]
        if fit and case["workload"] != "noop" and present.size > 1:
            pieces.append(
                pd.DataFrame({"launch": int(case["launch"]), "case": case_id, "rank": present})
            )
    return pd.concat(pieces, ignore_index=True)


def slow_ranks(
    run: Run, stats: Dict[int, CaseStats], findings: Optional[pd.DataFrame] = None
) -> List[SlowRank]:
    """The named ranks, those slow in most cases first."""
    findings = find(run, stats) if findings is None else findings
    if findings.empty:
        return []
    cases = run.cases.set_index("id")
    findings = findings.assign(
        launch=cases["launch"].reindex(findings["case"]).to_numpy(),
        workload=cases["workload"].reindex(findings["case"]).to_numpy(),
    )
    judged = judged_cases(run, stats).groupby(["launch", "rank"]).size()
    result = []
    for (launch, rank), rows in findings.groupby(["launch", "rank"]):
        timed = rows[rows["workload"] != "noop"]
        noop = rows.loc[rows["workload"] == "noop", "excess_s"]
        pair = bool((rows["group"] == 2).all())
        fault = (
            next(why for why in ("own roof", "no-op", "unclear") if (rows["at_fault"] == why).any())
            if pair
            else ""
        )
        result.append(
            SlowRank(
                rank=int(rank),
                host=str(rows["host"].iloc[0]),
                named=len(timed),
                judged=int(judged.get((launch, rank), 0)),
                excess=float(timed["excess"].median()) if len(timed) else float("nan"),
                noop_s=float(noop.max()) if len(noop) else float("nan"),
                workloads=sorted(set(rows["workload"])),
                slower_of_two=pair,
                at_fault=fault,
                launch=int(launch),
            )
        )
    return sorted(
        result, key=lambda r: (-(r.named / max(1, r.judged)), -np.nan_to_num(r.excess), r.rank)
    )


def slow_hosts(run: Run, slow: List[SlowRank]) -> List[SlowHost]:
    """Hosts all of whose ranks (at least two) are named in timed cases, where other hosts can be compared with."""
    named = pd.DataFrame(
        [{"launch": r.launch, "host": r.host, "excess": r.excess} for r in slow if r.named],
        columns=["launch", "host", "excess"],
    )
    sizes = run.ranks.groupby(["launch", "host"]).size()
    result = []
    for (launch, host), rows in named.groupby(["launch", "host"]):
        if len(rows) > 1 and len(rows) == sizes[(launch, host)] and len(sizes[launch]) > 1:
            result.append(SlowHost(str(host), int(launch), len(rows), float(rows["excess"].median())))
    return sorted(result, key=lambda entry: -entry.excess)


def _judgeable(case: pd.Series, stats: CaseStats, crowded: Dict[int, bool]) -> bool:
    """Do this case's times speak of single ranks? Not where ranks fight for processors: there only the no-op does."""
    fair = case["workload"] == "noop" or not crowded.get(int(case["launch"]), False)
    return fair and not stats.distributed and usable(case)


def _hardware(run: Run, launch: int, ranks: np.ndarray) -> np.ndarray:
    """A text per participant that is equal for ranks that may be compared: device and threads."""
    rows = run.ranks[run.ranks["launch"] == launch].drop_duplicates("rank").set_index("rank")
    kinds = (rows["device"].astype(str) + "/" + rows["threads"].astype(str)).reindex(ranks)
    return kinds.fillna("").to_numpy(dtype=str)


def _judge(
    case: pd.Series, stats: CaseStats, members: np.ndarray, run: Run, all_stats: Dict[int, CaseStats]
) -> List[dict]:
    """Named ranks among `members` (participants of one hardware) of one case."""
    if members.size < 2 or len(stats.blocks) < THIRDS:
        return []
    noop = case["workload"] == "noop"
    medians = stats.rank_block_s[:, members]
    slow = np.zeros(members.size, dtype=int)
    for rows in np.array_split(np.arange(len(stats.blocks)), THIRDS):
        values = column_quantiles(medians[rows], (0.5,))[0]
        slow += values - _reference(values) > _bound(values, medians, noop)
    named = np.flatnonzero(slow >= NEEDED)
    whole = stats.rank_s[members]
    reference = _reference(whole)
    rows = []
    for index in named:
        excess_s = float(whole[index] - reference)
        fault = _fault(case, stats, members, index, run, all_stats) if members.size == 2 else ""
        rows.append(
            {
                "case": int(case["id"]),
                "rank": int(stats.ranks[members[index]]),
                "host": str(stats.hosts[members[index]]),
                "excess": excess_s / reference if reference > 0 else float("nan"),
                "excess_s": excess_s,
                "thirds": int(slow[index]),
                "group": int(members.size),
                "at_fault": fault,
            }
        )
    return rows


def _reference(values: np.ndarray) -> float:
    """What a rank is compared with: the median, or the faster one of two."""
    return float(np.nanmin(values)) if values.size == 2 else float(np.nanmedian(values))


def _bound(values: np.ndarray, medians: np.ndarray, noop: bool) -> float:
    """Seconds above the reference from which a rank counts as slow. Two ranks have no spread between ranks that could
    be told from the difference itself: there the spread of each rank's own blocks serves."""
    within = float(np.nanmedian([scaled_mad(column) for column in medians.T[:2000]]))
    between = scaled_mad(values) if values.size > 2 else within
    if noop:
        return max(NOOP_SPREADS * max(within, between), NOOP_LEAST_S)
    return max(LEAST_EFFECT * _reference(values), MADS * between)


def _fault(
    case: pd.Series,
    stats: CaseStats,
    members: np.ndarray,
    index: int,
    run: Run,
    all_stats: Dict[int, CaseStats],
) -> str:
    """Of two ranks: does the slower one also fall short of its own roof by more than the other does? A late no-op needs
    no comparison: there is no work to be slow at."""
    if case["workload"] == "noop":
        return "no-op"
    bounds = roof_bounds(case, stats, run, all_stats)
    if not bounds:
        return "unclear"
    shares = (np.fmax.reduce(list(bounds.values())) / stats.rank_s)[members]
    return "own roof" if shares[index] < (1 - LEAST_EFFECT) * shares[1 - index] else "unclear"
