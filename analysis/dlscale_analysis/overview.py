# SPDX-License-Identifier: BSD-3-Clause
"""One run judged as a whole: verdict, headline numbers, warnings. What terminal, HTML and CSV show comes from here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

import numpy as np
import pandas as pd

from .casestats import CaseStats, read_cases
from .load import Run
from .nets import Nets, look_at_nets
from .places import crowded_ranks, oversubscribed, unbound_hosts, writer_alive
from .scale_notes import largest_losses
from .scaling import Scaling, look_at_scaling
from .slow import SlowHost, SlowRank, find, slow_hosts, slow_ranks
from .summary import summarise, target_interval
from .units import percent, plural, quantity, span

WARNING_KEYS = ("warnings", "mislaunch", "mis_launch", "mixed", "differences")  # of /system/environment
LARGE_NOOP_SHARE = 0.01  # of a sample, from which the harness's own cost is worth a warning


@dataclass
class Tile:
    """One headline number."""

    title: str
    value: str
    detail: str = ""
    level: str = ""  # good | warn | bad | ""


@dataclass
class Overview:
    """Everything a report shows of one run."""

    run: Run
    stats: Dict[int, CaseStats]
    cases: pd.DataFrame  # summary.summarise()
    findings: pd.DataFrame  # slow.find()
    slow: List[SlowRank]
    hosts: List[SlowHost]  # those all of whose ranks are slow
    nets: Nets = field(default_factory=Nets)
    scaling: Scaling = field(default_factory=Scaling)
    warnings: List[str] = field(default_factory=list)
    verdict: str = ""
    level: str = "good"
    tiles: List[Tile] = field(default_factory=list)

    @property
    def standing_out(self) -> List[SlowRank]:
        """Slow in half of their cases or more: for the headline; the others are listed only."""
        return [rank for rank in self.slow if rank.stands_out]

    @property
    def slow_alone(self) -> List[SlowRank]:
        """Slow ranks on hosts that are not slow as a whole."""
        whole = {(host.launch, host.host) for host in self.hosts}
        return [rank for rank in self.slow if (rank.launch, rank.host) not in whole]


def look(run: Run) -> Overview:
    """Reads all samples of `run`, case by case, and judges."""
    stats = read_cases(run)
    cases = summarise(run, stats)
    findings = find(run, stats)
    slow = slow_ranks(run, stats, findings)
    view = Overview(
        run,
        stats,
        cases,
        findings,
        slow,
        slow_hosts(run, slow),
        look_at_nets(run, stats, cases),
        look_at_scaling(run, stats, cases),
    )
    view.warnings = _warnings(view)
    view.verdict, view.level = _verdict(view)
    view.tiles = _tiles(view)
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
    out = view.standing_out
    parts.append(f"{plural(len(out), 'slow rank')}" if out else "no rank stands out")
    parts += [plural(len(view.warnings), "warning")] if view.warnings else []
    level = "warn" if skipped or out or view.warnings else "good"
    level = "warn" if view.run.status != "completed" else level
    if failed or wrong or view.run.status == "failed":
        level = "bad"
    status = view.run.status
    if status == "running" and not writer_alive(view.run):
        status = "cut off (it says running, but its writer is gone)"
    return f"{status}: " + ", ".join(parts), level


def _tiles(view: Overview) -> List[Tile]:
    """Up to eight headline numbers, in the order a buyer reads them."""
    run, cases = view.run, view.cases
    latest = run.ranks[run.ranks["launch"] == run.ranks["launch"].max()] if len(run.ranks) else run.ranks
    threads = sorted(set(latest["threads"].astype(int))) if len(latest) else []
    per_rank = "1 thread" if threads == [1] else f"{'/'.join(map(str, threads))} threads"
    detail = f"on {plural(latest['host'].nunique(), 'node')}, {per_rank} per rank"
    tiles = [Tile("Size", plural(len(latest), "rank"), detail if len(latest) else "")]
    judged = cases[cases["check_passed"] >= 0]
    good = int((judged["check_passed"] == 1).sum())
    tiles.append(
        Tile(
            "Checks passed",
            f"{good} of {len(judged)}",
            "",
            "good" if good == len(judged) and good else "bad" if good < len(judged) else "",
        )
    )
    headlines = (
        ("GEMM", "gemm"),
        ("Training", "train"),
        ("Inference", "infer"),
        ("Memory bandwidth", "triad"),
    )
    for title, workload in headlines:
        tiles += [_rate_tile(view, title, row) for row in _headline(cases, workload)]
    tiles += _scaling_tiles(view)
    shared = cases[np.isfinite(cases["sharing"])]
    if len(shared):
        row = shared.loc[shared["sharing"].idxmin()]
        tiles.append(
            Tile(
                "Sharing, worst",
                f"{row['sharing']:.3f}",
                f"{row['label']}: rate together / alone "
                + span(row["sharing_low"], row["sharing_high"], 1.0, ""),
            )
        )
    noop = cases[(cases["workload"] == "noop") & np.isfinite(cases["median_s"])]
    if len(noop):
        row = noop.iloc[0]
        tiles.append(
            Tile(
                "No-op (the harness)",
                quantity(row["median_s"], "s"),
                f"per {'repetition' if row['repeats'] > 1 else 'sample'}; slowest rank "
                f"{quantity(row['slowest_s'], 's')}",
            )
        )
    named = len(view.standing_out)
    worst = (view.hosts or view.standing_out or [None])[0]
    tiles.append(
        Tile(
            "Slow ranks",
            str(named),
            worst.sentence() if worst else "none beyond 3 % and 5 MADs",
            "warn" if named else "good",
        )
    )
    return tiles


def _scaling_tiles(view: Overview) -> List[Tile]:
    """Efficiency at the most ranks with its two largest losses; the worst pair."""
    tiles = []
    for entry in view.scaling.headline[:2]:
        curve, last = entry.curve, entry.curve.last
        if last is curve.base or not np.isfinite(last.efficiency.median):
            continue
        lost = [largest_losses(ledger) for ledger in entry.ledgers if ledger.case == last.case]
        low, high = last.efficiency.low, last.efficiency.high
        ends = f" [{low:.3f}, {high:.3f}]" if np.isfinite(low) else ""
        tiles.append(
            Tile(
                f"Efficiency, {curve.workload} p = {last.p}" + (", oversubscribed" if curve.crowded else ""),
                f"{last.efficiency.median:.3f}",
                f"{quantity(last.rate, curve.unit, 4)}{ends}, against {plural(curve.base.p, 'rank')}"
                + "".join(f"; lost: {text}" for text in lost)
                + f"; {curve.name}",
            )
        )
    slow = [pairs for pairs in view.scaling.pairs if len(pairs.slow) or pairs.slow_ends]
    if slow:
        detail = (slow[0].slow_ends + slow[0].sentences)[0]
        count = sum(len(pairs.slow) for pairs in slow)
        tiles.append(Tile("Slow pairs", str(count), detail, "warn"))
    return tiles


def _headline(cases: pd.DataFrame, workload: str) -> List[pd.Series]:
    """For each dtype the completed case with the most work per time, all ranks at once where there is such a case."""
    rows = cases[
        (cases["workload"] == workload) & np.isfinite(cases["rate"]) & (cases["status"] != "failed")
    ]
    for column, wanted in (("distributed", False), ("occupancy", "together")):
        if (rows[column] == wanted).any():
            rows = rows[rows[column] == wanted]
    return [group.loc[group["rate"].idxmax()] for _, group in rows.groupby("dtype")][:2]


def _rate_tile(view: Overview, title: str, row: pd.Series) -> Tile:
    """Rate per node: the sum of its ranks, when all work together; else per rank."""
    stats = view.stats[int(row["case"])]
    roof = f", {percent(row['of_roof'])} of {row['roof']}" if row["roof"] else ""
    whole = (
        row["occupancy"] == "together"
        and not stats.distributed
        and not oversubscribed(view.run).get(row["launch"])
    )
    title += " per node" if whole else " per rank"
    title += f", {row['dtype']}" if row["dtype"] else ""
    detail = row["label"]
    if whole:
        nodes = pd.Series(stats.work / stats.rank_s).groupby(stats.hosts).sum()
        return Tile(
            title,
            quantity(float(nodes.median()), row["unit"]),
            f"slowest {quantity(float(nodes.min()), row['unit'])} ({nodes.idxmin()}){roof}; {detail}",
        )
    return Tile(
        title,
        quantity(row["rate"], row["unit"]),
        f"slowest {quantity(stats.rate(row['slowest_s']), row['unit'])}{roof}; {detail}",
    )


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
