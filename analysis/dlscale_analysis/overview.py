# SPDX-License-Identifier: BSD-3-Clause
"""One run judged as a whole: verdict, headline numbers, warnings. What terminal, HTML and CSV show comes from here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

import numpy as np
import pandas as pd

from .casestats import CaseStats, read_cases, usable
from .load import Run
from .nets import Nets, look_at_nets
from .places import crowded_ranks, unbound_hosts, writer_alive
from .scaling import Scaling, look_at_scaling
from .slow import find_slow
from .slow_remarks import nobody
from .slow_verdict import Verdict
from .summary import summarise, target_interval
from .tiles import Tile, headline_tiles
from .units import percent, plural

WARNING_KEYS = ("warnings", "mislaunch", "mis_launch", "mixed", "differences")  # of /system/environment
LARGE_NOOP_SHARE = 0.01  # of a sample, from which the harness's own cost is worth a warning


@dataclass
class Overview:
    """Everything a report shows of one run."""

    run: Run
    stats: Dict[int, CaseStats]
    cases: pd.DataFrame  # summary.summarise()
    slow: Verdict  # slow.find_slow(), of this file alone
    nets: Nets = field(default_factory=Nets)
    scaling: Scaling = field(default_factory=Scaling)
    missed: List[pd.Series] = field(default_factory=list)  # completed cases that missed a requirement
    warnings: List[str] = field(default_factory=list)
    verdict: str = ""
    level: str = "good"
    tiles: List[Tile] = field(default_factory=list)


def look(run: Run) -> Overview:
    """Reads all samples of `run`, case by case, and judges."""
    stats = read_cases(run)
    cases = summarise(run, stats)
    view = Overview(
        run,
        stats,
        cases,
        find_slow([run], [stats]),
        look_at_nets(run, stats, cases),
        look_at_scaling(run, stats, cases),
    )
    view.missed = [
        row for _, row in cases.iterrows() if usable(row) and run.case(row["case"])["results"].get("missed")
    ]
    view.warnings = _warnings(view)
    view.verdict, view.level = _verdict(view)
    view.tiles = headline_tiles(view)
    return view


def _verdict(view: Overview) -> Tuple[str, str]:
    """One line, and how bad it is."""
    counts = view.cases["status"].value_counts()
    failed, skipped = int(counts.get("failed", 0)), int(counts.get("skipped", 0))
    wrong = int(((view.cases["check_passed"] == 0) & (view.cases["status"] != "failed")).sum())
    parts = [f"{int(counts.get('completed', 0))} of {plural(len(view.cases), 'case')} completed"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{plural(wrong, 'check')} failed"] if wrong else []
    parts += [f"{skipped} skipped"] if skipped else []
    missed = sum(len(results.get("missed", ())) for results in view.run.cases["results"])
    parts += [f"{plural(missed, 'requirement')} missed"] if missed else []
    out = view.slow.named
    levels = Counter(entry.level for entry in out)
    parts.append(
        ", ".join(plural(count, f"slow {level}") for level, count in levels.items())
        or ("nobody stands out" if view.slow.tests else nobody(view.slow))
    )
    parts += [plural(len(view.warnings), "warning")] if view.warnings else []
    level = "warn" if skipped or missed or out or view.warnings else "good"
    level = "warn" if view.run.status != "completed" else level
    if failed or wrong or view.run.status == "failed":
        level = "bad"
    status = view.run.status
    if status == "running" and not writer_alive(view.run):
        status = "cut off (it says running, but its writer is gone)"
    return f"{status}: " + ", ".join(parts), level


def _warnings(view: Overview) -> List[str]:
    """Everything that puts the numbers in doubt, each a sentence."""
    run, cases = view.run, view.cases
    texts = _recorded(run) + _mixed(run) + _placement(run)
    if run.status not in ("completed", "running"):
        texts.append(
            f"the run's status is '{run.status}': the cases not completed lack blocks or are missing"
        )
    wide = cases[(cases["unconverged"] > 0) & (cases["workload"] != "noop")]
    for reason, rows in wide.groupby("stop_reason"):
        listed = ", ".join(
            f"{row.case} ({row.unconverged} of {row.ranks})" for row in rows.head(12).itertuples()
        )
        texts.append(
            f"{plural(len(rows), 'case')} with ranks whose interval is wider than ±{percent(target_interval(run))} "
            f"(stopped: {reason or 'unknown'}): {listed}{', …' if len(rows) > 12 else ''}"
        )
    for _, row in cases[cases["samples"] > 0].iterrows():
        if 0 < row["blocks"] < 6:
            texts.append(
                f"case {row['case']} ({row['label']}): {plural(int(row['blocks']), 'block')}, fewer than six: "
                "a spread, no interval"
            )
        if run.case(row["case"])["results"].get("warm_up") == "unsteady":
            texts.append(f"case {row['case']} ({row['label']}): no steady state within the warm-up")
    texts += _harness(cases)
    return list(dict.fromkeys(texts))


def _harness(cases: pd.DataFrame) -> List[str]:
    """Cases whose samples are so short that the harness's own cost shows."""
    return [
        f"case {row['case']} ({row['label']}): the harness's own cost is {percent(share, 1)} of its time"
        for row, share in harness_shares(cases)
        if share > LARGE_NOOP_SHARE
    ]


def harness_shares(cases: pd.DataFrame) -> List[Tuple[pd.Series, float]]:
    """Each measured case with the share of its time that the harness itself takes, largest first. A no-op measured in
    repeats gives the cost of a repetition, one without gives that of a sample."""
    shares = []
    noops = cases[(cases["workload"] == "noop") & np.isfinite(cases["median_s"])]
    for _, row in cases[np.isfinite(cases["median_s"]) & (cases["workload"] != "noop")].iterrows():
        own = noops[noops["launch"] == row["launch"]]
        if len(own):
            batched = int(own["repeats"].iloc[0]) > 1
            shares.append(
                (
                    row,
                    float(own["median_s"].iloc[0])
                    / row["median_s"]
                    / (1 if batched else row["repeats"]),
                )
            )
    return sorted(shares, key=lambda entry: -entry[1])


def _recorded(run: Run) -> List[str]:
    """Warnings the run itself recorded."""
    texts: List[str] = []
    for facts in run.environment:
        for key in WARNING_KEYS:
            texts += _sentences(facts.get(key))
    return texts


def _sentences(value: Any) -> List[str]:
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, dict):
        return [f"{key}: {text}" for key, entry in value.items() for text in _sentences(entry)]
    return [text for entry in value for text in _sentences(entry)] if isinstance(value, list) else []


def _mixed(run: Run) -> List[str]:
    """Facts that differ between the ranks of one launch."""
    texts = []
    for launch, rows in run.ranks.groupby("launch"):
        for column, what in (("device", "devices"), ("threads", "thread counts")):
            counts = rows[column].value_counts()
            if len(counts) > 1:
                listed = ", ".join(
                    f"{value or 'none'} on {plural(int(count), 'rank')}"
                    for value, count in list(counts.items())[:4]
                )
                texts.append(f"mixed {what} in launch {launch}: {listed}; only equal ranks are compared")
        per_host = rows.groupby("host").size()
        if per_host.nunique() > 1:
            texts.append(
                f"uneven hosts in launch {launch}: {per_host.min()} to {per_host.max()} ranks per host"
            )
    return texts


def _placement(run: Run) -> List[str]:
    """Ranks with more threads than processors, or with processors in common."""
    texts = []
    for launch in sorted(set(run.ranks["launch"].astype(int))):
        crowded, (shared, over) = crowded_ranks(run, launch), unbound_hosts(run, launch)
        if crowded:
            texts.append(
                f"{plural(crowded, 'rank')} of launch {launch} with more threads than processors in the affinity "
                "mask (with Open MPI add --map-by slot:PE=N, under srun -c N)"
            )
        if over:
            texts.append(
                f"launch {launch} has more threads than processors on {_some(over)}: no rank is named for a rate"
            )
        elif shared:
            texts.append(
                f"ranks of launch {launch} share processors on {_some(shared)}: they are not bound apart"
            )
    return texts


def _some(hosts: List[str]) -> str:
    return (
        f"{plural(len(hosts), 'host')} ({', '.join(sorted(hosts)[:3])}{', …' if len(hosts) > 3 else ''})"
    )
